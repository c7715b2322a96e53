# The tests of `dpumesh load`; tests/ctl/CMakeLists.txt includes this.
foreach(name IN ITEMS histogram load_answer load_arguments load_arrival load_plan load_stats)
  dpumesh_test(test_${name} SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_${name}.c DEPS dpumesh_ctl_core)
endforeach()
dpumesh_race(test_load_race SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_load_race.c DEPS dpumesh_ctl_core)
