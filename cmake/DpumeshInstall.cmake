# dpumesh_install_docs(PROGRAM [SUBCOMMAND...]): after PROGRAM is built, has it print its man page, one
# for each subcommand, and its completions from the option tables (lib/base/option.h), and installs
# them. Not with sanitizers or fuzzing, whose programs are not for installing, nor when cross-compiling.
function(dpumesh_install_docs program)
  if(DPUMESH_SANITIZE OR DPUMESH_FUZZ OR CMAKE_CROSSCOMPILING)
    return()
  endif()
  set(dir "${CMAKE_BINARY_DIR}/docs/${program}")
  file(MAKE_DIRECTORY "${dir}")
  set(commands COMMAND ${program} --print-man > "${dir}/${program}.1")
  set(pages "${dir}/${program}.1")
  foreach(subcommand IN LISTS ARGN)
    list(APPEND commands COMMAND ${program} ${subcommand} --print-man >
                                 "${dir}/${program}-${subcommand}.1")
    list(APPEND pages "${dir}/${program}-${subcommand}.1")
  endforeach()
  list(APPEND commands COMMAND ${program} --print-completion=bash > "${dir}/${program}.bash")
  list(APPEND commands COMMAND ${program} --print-completion=zsh > "${dir}/_${program}")
  list(APPEND commands COMMAND ${program} --print-completion=fish > "${dir}/${program}.fish")
  set(completions "${dir}/${program}.bash" "${dir}/_${program}" "${dir}/${program}.fish")
  add_custom_command(
    OUTPUT ${pages} ${completions} ${commands}
    DEPENDS ${program}
    COMMENT "Printing man pages and completions of ${program}"
    VERBATIM)
  add_custom_target(${program}-docs ALL DEPENDS ${pages} ${completions})
  install(FILES ${pages} DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
  install(
    FILES "${dir}/${program}.bash"
    DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions"
    RENAME ${program})
  install(FILES "${dir}/_${program}" DESTINATION "${CMAKE_INSTALL_DATADIR}/zsh/site-functions")
  install(FILES "${dir}/${program}.fish"
          DESTINATION "${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d")
endfunction()
