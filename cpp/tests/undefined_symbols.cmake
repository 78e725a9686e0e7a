# cmake -DNM=nm -DOBJECT=step.o -P undefined_symbols.cmake: fails if the object calls anything that could allocate, lock,
# print, throw or enter the kernel. What remains copies bytes, takes a square root, or is one atomic instruction (libgcc has
# those of AArch64 as functions, which choose by what the processor can).
cmake_minimum_required(VERSION 3.22)
execute_process(COMMAND ${NM} -u ${OBJECT} OUTPUT_VARIABLE listing COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "U [^\n]+" symbols "${listing}")
set(allowed memcpy memmove memset memcmp sqrt fma _GLOBAL_OFFSET_TABLE_ __stack_chk_fail)
foreach(symbol IN LISTS symbols)
  string(SUBSTRING ${symbol} 2 -1 name)
  if(NOT name IN_LIST allowed AND NOT name MATCHES "^__aarch64_(cas|swp|ld)[a-z]*[0-9]+_[a-z_]+$")
    message(SEND_ERROR "a step calls ${name}")
  endif()
endforeach()
