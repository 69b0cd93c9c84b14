# Completion of taut in bash. In ~/.bashrc:  source <(taut completions bash)
# For all users: taut completions bash > /usr/share/bash-completion/completions/taut

_taut() {
    local answer option
    mapfile -t answer < <("$1" complete-words bash "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2> /dev/null)
    COMPREPLY=("${answer[@]:1}")
    for option in ${answer[0]}; do
        compopt -o "$option"
    done
}

complete -F _taut taut
