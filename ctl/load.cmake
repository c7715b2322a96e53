# The sources of `dpumesh load`; ctl/CMakeLists.txt takes them into dpumesh_ctl_core.
set(DPUMESH_LOAD_SOURCES
    histogram.c
    load.c
    load_answer.c
    load_arguments.c
    load_arrival.c
    load_conn.c
    load_http.c
    load_plan.c
    load_report.c
    load_stats.c
    load_target.c
    load_team.c
    load_worker.c)
