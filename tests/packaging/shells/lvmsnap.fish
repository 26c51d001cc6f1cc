# fish completion for lvmsnap(8). It starts no lvmsnap: profiles are the files of the profile directory.

# Prints the words before the cursor without options and their values: the command, and its arguments.
function __lvmsnap_words
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
        else if contains -- $word @VALUES@
            set skip 1
        else if test "$word" = --
            return
        else if not string match -q -- '-*' $word
            echo $word
        end
    end
end

function __lvmsnap_after_dashes
    set -l words (commandline -opc)
    contains -- -- $words
end

function __lvmsnap_needs_command
    not __lvmsnap_after_dashes; and test -z "$(__lvmsnap_words)"
end

# Whether one of the commands given is on the line, and its own words are being written.
function __lvmsnap_in
    set -l words (__lvmsnap_words)
    not __lvmsnap_after_dashes; and contains -- "$words[1]" $argv
end

# The same, where a command that takes one argument has none yet.
function __lvmsnap_first
    __lvmsnap_in $argv; and test (count (__lvmsnap_words)) = 1
end

function __lvmsnap_later
    __lvmsnap_in $argv; and test (count (__lvmsnap_words)) -gt 1
end

function __lvmsnap_profiles
    set -l directory /etc/lvmsnap
    test -n "$LVMSNAP_PROFILE_DIR"; and set directory $LVMSNAP_PROFILE_DIR
    set -l words (commandline -opc)
    if set -l place (contains -i -- --profile-dir $words)
        set directory $words[(math $place + 1)]
    end
    for word in $words
        string match -q -- '--profile-dir=*' $word; and set directory (string replace -- --profile-dir= '' $word)
    end
    set directory (string replace -r -- '^~(?=/|$)' $HOME $directory)
    for file in $directory/*.yaml
        string replace -rf -- '^.*/([a-z0-9][a-z0-9_-]*)\.yaml$' '$1' $file
    end
end

function __lvmsnap_volumes
    test (id -u) = 0; and type -q lvs; and @VOLUMES@
end

# Files and folders, once what is written begins as a path does.
function __lvmsnap_paths
    string match -qr -- '^[./~]' (commandline -ct); and __fish_complete_path (commandline -ct)
end

# Completes the command after the two dashes, as if it stood alone.
function __lvmsnap_command
    set -l words (commandline -opc)
    set -l place (contains -i -- -- $words)
    set -l command (string escape -- $words[(math $place + 1)..-1] 2> /dev/null)
    complete -C "$(string join ' ' -- $command (commandline -ct))"
end

complete -c lvmsnap -f
complete -c lvmsnap -n __lvmsnap_after_dashes -a '(__lvmsnap_command)'
@COMMANDS@
