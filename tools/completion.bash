# SPDX-License-Identifier: LGPL-2.1-or-later
# Options of sae-train and sae-inspect, as their --help has them; else files.
_sae_tools() {
  local word=${COMP_WORDS[COMP_CWORD]}
  if [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W \
      "$("$1" --help 2> /dev/null | grep -oE -- '--[a-z][a-z0-9-]*')" -- "$word")
  fi
}
complete -o default -F _sae_tools sae-train sae-inspect
