# velollm_embed(TARGET FILE OUTPUT HEADER NAMESPACE FUNCTION): compiles the text of FILE into TARGET as
# NAMESPACE::FUNCTION(), declared in HEADER. In pieces, since compilers need not take a literal above 64 KiB.
function(velollm_embed target file output header namespace function)
  file(READ ${file} text)
  string(LENGTH "${text}" length)
  set(pieces "")
  set(at 0)
  while(at LESS length)
    string(SUBSTRING "${text}" ${at} 8000 piece)
    string(APPEND pieces "    R\"embedded(${piece})embedded\"\n")
    math(EXPR at "${at} + 8000")
  endwhile()
  file(CONFIGURE OUTPUT ${output} @ONLY CONTENT [[#include "@header@"

namespace @namespace@ {

std::string_view @function@() {
    return
@pieces@        ;
}

}  // namespace @namespace@
]])
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  target_sources(${target} PRIVATE ${output})
endfunction()
