# Completion of taut in fish:  taut completions fish > ~/.config/fish/completions/taut.fish

function __taut_complete
    set -l words (commandline -opc)
    # Of a word whose quotation mark is still open, what is behind that.
    set -l current (commandline -ct | string replace -r '^["\']' '')
    set -l answer (command $words[1] complete-words fish $words[2..] "$current" 2>/dev/null)
    switch "$answer[1]"
        case files
            __fish_complete_path "$current"
        case directories
            __fish_complete_directories "$current" ''
    end
    if set -q answer[2]
        printf '%s\n' $answer[2..]
    end
end

complete -c taut -f -a '(__taut_complete)'
