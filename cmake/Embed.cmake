# Writes files into a C source: cmake -DOUT=made.c -DNAME=symbol -DROOT=dir "-DFILES=a.yaml;b/c.yaml" -P Embed.cmake
# `const struct embedded_file NAME[]` (ctl/cluster/embedded.h), names as they are given, ends with {NULL}.
set(arrays "")
set(rows "")
set(number 0)
foreach(file IN LISTS FILES)
  file(READ "${ROOT}/${file}" hex HEX)
  string(LENGTH "${hex}" digits)
  math(EXPR size "${digits} / 2")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(REGEX REPLACE "(................................................................................)" "\\1\n"
         bytes "${bytes}")
  string(APPEND arrays "static const unsigned char file_${number}[] = {\n${bytes}};\n")
  string(APPEND rows "    {\"${file}\", file_${number}, ${size}},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE "${OUT}" "/* Made by cmake/Embed.cmake. */\n#include \"ctl/cluster/embedded.h\"\n\n${arrays}\n"
     "const struct embedded_file ${NAME}[] = {\n${rows}    {NULL, NULL, 0},\n};\n")
