# bash completion for lvmsnap(8). It starts no lvmsnap: profiles are the files of the profile directory.

_lvmsnap_profiles() {
    local directory=${LVMSNAP_PROFILE_DIR:-/etc/lvmsnap} file LC_ALL=C
    directory=${_lvmsnap_directory:-$directory}
    for file in "${directory/#~\//$HOME/}"/*.yaml; do
        [[ -e $file ]] || continue
        file=${file##*/} file=${file%.yaml}
        # No other file is a profile; and compgen -W obeys what looks like a command.
        [[ $file == [!a-z0-9]* || $file == *[!a-z0-9_-]* ]] || printf '%s\n' "$file"
    done
}

_lvmsnap_volumes() {
    [[ $EUID -eq 0 ]] && @VOLUMES@
}

_lvmsnap_files() {
    compopt -o filenames 2> /dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$cur")
}

# Completes what a positional argument or an option's value stands for.
_lvmsnap_complete() {
    case $1 in
    profile)
        if [[ $cur == */* ]]; then
            compopt -o filenames 2> /dev/null
            mapfile -t COMPREPLY < <(compgen -f -X '!*.yaml' -- "$cur"; compgen -d -- "$cur")
        else
            mapfile -t COMPREPLY < <(compgen -W "$(_lvmsnap_profiles)" -- "$cur")
        fi
        ;;
    profile-or-file)
        _lvmsnap_files
        [[ $cur == */* ]] || mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W "$(_lvmsnap_profiles)" -- "$cur")
        ;;
    volume)
        if [[ $cur == /* ]]; then
            _lvmsnap_files
        else
            mapfile -t COMPREPLY < <(compgen -W "$(_lvmsnap_volumes)" -- "$cur")
        fi
        ;;
    file) _lvmsnap_files ;;
    directory)
        compopt -o filenames 2> /dev/null
        mapfile -t COMPREPLY < <(compgen -d -- "$cur")
        ;;
    topic) mapfile -t COMPREPLY < <(compgen -W "@TOPICS@" -- "$cur") ;;
    esac
}

# Completes the command after the two dashes at place $1, as if it stood alone.
_lvmsnap_command() {
    if declare -F _command_offset > /dev/null; then
        _command_offset $(($1 + 1))
    elif ((COMP_CWORD == $1 + 1)); then
        mapfile -t COMPREPLY < <(compgen -c -- "$cur")
    else
        _lvmsnap_files
    fi
}

# Says in _lvmsnap_value what the value of option $1 stands for; fails where it takes none.
_lvmsnap_takes_value() {
    case $1 in
@VALUES@
    *) return 1 ;;
    esac
}

_lvmsnap() {
    local cur=${COMP_WORDS[COMP_CWORD]} word number command="" count=0
    local _lvmsnap_directory="" _lvmsnap_value="" expected="" option=""
    local options="@OPTIONS@" arguments="" tail=""
    COMPREPLY=()
    for ((number = 1; number < COMP_CWORD; number++)); do
        word=${COMP_WORDS[number]}
        if [[ $word == = ]]; then
            continue
        elif [[ $expected ]]; then
            [[ $option == --profile-dir ]] && _lvmsnap_directory=$word
            expected=""
        elif [[ $word == -- && $command ]]; then
            _lvmsnap_command "$number"
            return
        elif [[ $word == -* ]]; then
            option=$word
            if _lvmsnap_takes_value "$word"; then expected=$_lvmsnap_value; fi
        elif [[ $command ]]; then
            ((count++))
        else
            command=$word
        fi
    done
    [[ $cur == = ]] && cur=""
    if [[ $expected ]]; then
        _lvmsnap_complete "$expected"
        return
    fi
    case $command in
    "") arguments="command" ;;
@COMMANDS@
    *) return ;;
    esac
    if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options $tail" -- "$cur")
    elif [[ -z $command ]]; then
        mapfile -t COMPREPLY < <(compgen -W "@NAMES@" -- "$cur")
    elif [[ $arguments == *+ ]] || ((count == 0)); then
        _lvmsnap_complete "${arguments%+}"
    elif [[ $tail ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$tail" -- "$cur")
    fi
}

complete -F _lvmsnap lvmsnap
