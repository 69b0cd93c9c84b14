#compdef taut
# Completion of taut in zsh. In ~/.zshrc, behind compinit:  source <(taut completions zsh)
# For all users: taut completions zsh > /usr/share/zsh/site-functions/_taut

_taut() {
    local -a answer open open_shown whole whole_shown
    local line text shown
    answer=("${(@f)$($words[1] complete-words zsh "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2> /dev/null)}")
    for line in "${(@)answer[2,-1]}"; do
        text=${line%%$'\t'*}
        shown=$text
        [[ $line == *$'\t'?* ]] && shown="$text  -- ${line#*$'\t'}"
        shown=${shown[1,COLUMNS-1]}
        if [[ $text == *[/:=] ]]; then
            open+=("$text") open_shown+=("$shown")
        else
            whole+=("$text") whole_shown+=("$shown")
        fi
    done
    (( $#open )) && compadd -l -S '' -d open_shown -a open
    (( $#whole )) && compadd -l -d whole_shown -a whole
    case $answer[1] in
        files) compset -P '--*='; _files ;;
        directories) compset -P '--*='; _files -/ ;;
    esac
}

if [[ $funcstack[1] == _taut ]]; then
    _taut "$@"
else
    compdef _taut taut
fi
