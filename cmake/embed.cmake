# SPDX-License-Identifier: GPL-2.0-or-later
# cmake -DIN=FILE -DOUT=FILE -DSYMBOL=NAME -DHEADER=FILE -P embed.cmake: a text file as a C string,
# that the header declares.
file(READ "${IN}" text)
string(REPLACE "\\" "\\\\" text "${text}")
string(REPLACE "\"" "\\\"" text "${text}")
string(REPLACE "\n" "\\n\"\n\t\"" text "${text}")
get_filename_component(name "${IN}" NAME)
file(WRITE "${OUT}" "/* From ${name}. */\n#include \"${HEADER}\"\n\nconst char ${SYMBOL}[] =\n\t\"${text}\";\n")
