function __streamrouter_should_offer_completions_for_flags_or_options -a expected_commands
    set -l non_repeating_flags_or_options $argv[2..]
    set -l non_repeating_flags_or_options_absent 0
    set -l positional_index 0
    set -l commands
    __streamrouter_parse_tokens
    test "$commands" = "$expected_commands"; and return $non_repeating_flags_or_options_absent
end

function __streamrouter_should_offer_completions_for_positional -a expected_commands positional_index_comparison expected_positional_index
    set -l non_repeating_flags_or_options
    set -l non_repeating_flags_or_options_absent 0
    set -l positional_index 0
    set -l commands
    __streamrouter_parse_tokens
    test "$commands" = "$expected_commands" -a \( "$positional_index" "$positional_index_comparison" "$expected_positional_index" \)
end

function __streamrouter_parse_tokens -S
    set -l unparsed_tokens (__streamrouter_tokens -pc)
    switch $unparsed_tokens[1]
    case 'streamrouter'
        __streamrouter_parse_subcommand 0 'version' 'h/help'
        switch $unparsed_tokens[1]
        case 'validate'
            __streamrouter_parse_subcommand -r 1 'json' 'version' 'h/help'
        case 'graph'
            __streamrouter_parse_subcommand 1 'format=' 'version' 'h/help'
        case 'lab'
            __streamrouter_parse_subcommand 0 'version' 'h/help'
            switch $unparsed_tokens[1]
            case 'up'
                __streamrouter_parse_subcommand 1 'metrics=' 'version' 'h/help'
            case 'down'
                __streamrouter_parse_subcommand 1 'all' 'version' 'h/help'
            case 'status'
                __streamrouter_parse_subcommand 1 'json' 'version' 'h/help'
            case 'exec'
                __streamrouter_parse_subcommand -r 3 'version' 'h/help'
            case 'impair'
                __streamrouter_parse_subcommand 1 'link=' 'delay=' 'jitter=' 'loss=' 'rate=' 'direction=' 'clear' 'version' 'h/help'
            case 'list'
                __streamrouter_parse_subcommand 0 'json' 'version' 'h/help'
            end
        case 'node'
            __streamrouter_parse_subcommand 0 'version' 'h/help'
            switch $unparsed_tokens[1]
            case 'run'
                __streamrouter_parse_subcommand 1 'name=' 'relay-capacity=' 'log-format=' 'metrics=' 'version' 'h/help'
            case 'remove'
                __streamrouter_parse_subcommand 1 'name=' 'version' 'h/help'
            end
        case 'monitor'
            __streamrouter_parse_subcommand 1 'topology=' 'once' 'json' 'jsonl' 'events' 'csv' 'record=' 'play=' 'interval=' 'count=' 'sort=' 'columns=' 'theme=' 'filter=' 'color=' 'ascii' 'version' 'h/help'
        case 'check'
            __streamrouter_parse_subcommand 1 'topology=' 'stream=' 'for=' 'interval=' 'json' 'version' 'h/help'
        case 'report'
            __streamrouter_parse_subcommand 1 'topology=' 'for=' 'interval=' 'play=' 'from=' 'to=' 'json' 'csv' 'html' 'columns=' 'output=' 'version' 'h/help'
        case 'send'
            __streamrouter_parse_subcommand 0 'to=' 'stream=' 'topology=' 'from=' 'transport=' 'rate=' 'ramp=' 'size=' 'burst=' 'for=' 'count=' 'payload-type=' 'ssrc=' 'clock-rate=' 'sequence=' 'realtime' 'json' 'version' 'h/help'
        case 'receive'
            __streamrouter_parse_subcommand 0 'at=' 'stream=' 'topology=' 'transport=' 'clock-rate=' 'for=' 'count=' 'idle=' 'fail-when=+' 'realtime' 'json' 'version' 'h/help'
        case 'sdp'
            __streamrouter_parse_subcommand -r 1 'topology=' 'at=' 'codec=+' 'payload-type=+' 'fmtp=+' 'sender=' 'version' 'h/help'
        case 'capture'
            __streamrouter_parse_subcommand 1 'topology=' 'w/write=' 'before' 'after' 'for=' 'count=' 'size=' 'rotate=' 'files=' 'when=+' 'keep=' 'memory=' 'json' 'version' 'h/help'
        case 'replay'
            __streamrouter_parse_subcommand 1 'to=' 'stream=' 'topology=' 'from=' 'speed=' 'loop' 'times=' 'filter=' 'ssrc=' 'payload-type=' 'sequence=' 'timestamp=' 'realtime' 'json' 'version' 'h/help'
        case 'analyze'
            __streamrouter_parse_subcommand 1 'sdp=' 'clock-rate=+' 'filter=' 'json' 'version' 'h/help'
        case 'bench'
            __streamrouter_parse_subcommand 0 'repetitions=' 'seconds=' 'busy-threads=' 'transit-packets=' 'only=+' 'extension=+' 'without-account' 'json' 'version' 'h/help'
        case 'extension'
            __streamrouter_parse_subcommand 0 'version' 'h/help'
            switch $unparsed_tokens[1]
            case 'new'
                __streamrouter_parse_subcommand 1 'version' 'h/help'
            case 'build'
                __streamrouter_parse_subcommand -r 1 'output-dir=' 'version' 'h/help'
            case 'check'
                __streamrouter_parse_subcommand -r 1 'log' 'version' 'h/help'
            case 'test'
                __streamrouter_parse_subcommand -r 1 'vectors=' 'pcap=' 'filter=' 'param=+' 'json' 'version' 'h/help'
            case 'list'
                __streamrouter_parse_subcommand 0 'dir=+' 'topology=' 'json' 'version' 'h/help'
            case 'show'
                __streamrouter_parse_subcommand 1 'json' 'version' 'h/help'
            end
        case 'help'
            __streamrouter_parse_subcommand -r 1 'version'
        end
    end
end

function __streamrouter_tokens
    if test (string split -m 1 -f 1 -- . "$FISH_VERSION") -gt 3
        commandline --tokens-raw $argv
    else
        commandline -o $argv
    end
end

function __streamrouter_parse_subcommand -S -a positional_count
    argparse -s r -- $argv
    set -l option_specs $argv[2..]
    set -l is_repeating_positional $_flag_r
    set -el _flag_r
    set -a commands $unparsed_tokens[1]
    set positional_index 0
    while true
        set -e unparsed_tokens[1]
        argparse -sn "$commands" $option_specs -- $unparsed_tokens 2> /dev/null
        set unparsed_tokens $argv
        set positional_index (math $positional_index + 1)
        for non_repeating_flag_or_option in $non_repeating_flags_or_options
            if set -ql "_flag_$(string replace -a - _ -- $non_repeating_flag_or_option)"
                set non_repeating_flags_or_options_absent 1
                break
            end
        end
        test (count $unparsed_tokens) -eq 0 -o \( -z "$is_repeating_positional" -a "$positional_index" -gt "$positional_count" \) && break
    end
end

function __streamrouter_complete_directories
    set -l token (commandline -t)
    string match -- '*/' $token
    set -l subdirs $token*/
    printf %s\n $subdirs
end

function __streamrouter_custom_completion
    set -x SAP_SHELL fish
    set -x SAP_SHELL_VERSION $FISH_VERSION
    set -l tokens (__streamrouter_tokens -p)
    if test -z "$(__streamrouter_tokens -t)"
        set -l index (count (__streamrouter_tokens -pc))
        set tokens $tokens[..$index] \'\' $tokens[(math $index + 1)..]
    end
    command $tokens[1] $argv $tokens
end

complete -c 'streamrouter' -f
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter" version' -l 'version' -d 'Show the version.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter" -eq 1' -fa 'validate' -d 'Check topology files and report every error in them.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter" -eq 1' -fa 'graph' -d 'Draw a topology: nodes, links, and the hops, ports and sinks of every stream.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter" -eq 1' -fa 'lab' -d 'All nodes of a topology on this machine, each in a network namespace of its own.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter" -eq 1' -fa 'node' -d 'Run the relays of one node of a topology.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter" -eq 1' -fa 'monitor' -d 'Show every stream at every hop: rates, loss, jitter and added delay.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter" -eq 1' -fa 'check' -d 'Judge running streams by what the topology expects of them.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter" -eq 1' -fa 'report' -d 'Report what every stream did over a span of time, hop by hop.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter" -eq 1' -fa 'send' -d 'Send a test stream: numbered, time-stamped packets at exact times.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter" -eq 1' -fa 'receive' -d 'Receive a stream and account for every packet of it.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter" -eq 1' -fa 'sdp' -d 'Write the SDP with which a player at a stream\'s sink opens it.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter" -eq 1' -fa 'capture' -d 'Capture a stream at one hop, before or after its extensions, into a pcapng file.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter" -eq 1' -fa 'replay' -d 'Send the UDP datagrams of a capture again, in their own time.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter" -eq 1' -fa 'analyze' -d 'Find every RTP and MPEG-TS stream in a capture, and account for each.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter" -eq 1' -fa 'bench' -d 'Measure the engines against each other and against kernel forwarding on this machine.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter" -eq 1' -fa 'extension' -d 'Write, build and check relay extensions: Swift code that runs on every packet.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter" -eq 1' -fa 'help' -d 'Show subcommand help information.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter validate" -ge 1' -fa '(set -l exts \'yaml\' \'yml\';for p in (string match -e -- \'*/\' (commandline -t);or printf \n)*.{$exts};printf %s\n $p;end;__fish_complete_directories (commandline -t) \'\')'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter validate" json' -l 'json' -d 'Print the errors as one JSON array on standard output; it is empty when there are none.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter validate" version' -l 'version' -d 'Show the version.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter validate" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter graph" -eq 1' -fa '(set -l exts \'yaml\' \'yml\';for p in (string match -e -- \'*/\' (commandline -t);or printf \n)*.{$exts};printf %s\n $p;end;__fish_complete_directories (commandline -t) \'\')'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter graph" format' -l 'format' -d 'What to write: text, dot (Graphviz) or mermaid (Markdown).' -rfka 'text dot mermaid'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter graph" version' -l 'version' -d 'Show the version.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter graph" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter lab" version' -l 'version' -d 'Show the version.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter lab" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter lab" -eq 1' -fa 'up' -d 'Make the namespaces and links and start a daemon in each.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter lab" -eq 1' -fa 'down' -d 'Remove all that \'lab up\' made, after a crash too.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter lab" -eq 1' -fa 'status' -d 'What runs in a lab. Exit status 1 unless every daemon is ready.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter lab" -eq 1' -fa 'exec' -d 'Run a command as a process of a node.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter lab" -eq 1' -fa 'impair' -d 'Make a link of a lab worse than it is.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter lab" -eq 1' -fa 'list' -d 'The labs on this machine, each with its state and its file.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter lab up" -eq 1' -fa '(set -l exts \'yaml\' \'yml\';for p in (string match -e -- \'*/\' (commandline -t);or printf \n)*.{$exts};printf %s\n $p;end;__fish_complete_directories (commandline -t) \'\')'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter lab up" metrics' -l 'metrics' -d 'The first node\'s daemon answers /metrics on this port of 127.0.0.1, the others on those above.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter lab up" version' -l 'version' -d 'Show the version.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter lab up" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter lab down" all' -l 'all' -d 'Every lab on this machine.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter lab down" version' -l 'version' -d 'Show the version.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter lab down" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter lab status" json' -l 'json' -d 'One JSON document.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter lab status" version' -l 'version' -d 'Show the version.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter lab status" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter lab exec" version' -l 'version' -d 'Show the version.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter lab exec" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter lab impair" link' -l 'link' -d 'The link.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter lab impair" delay' -l 'delay' -d 'How long each packet waits, as 5ms or 250us.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter lab impair" jitter' -l 'jitter' -d 'By how much the delay varies.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter lab impair" loss' -l 'loss' -d 'Packets that are lost.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter lab impair" rate' -l 'rate' -d 'What the link carries.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter lab impair" direction' -l 'direction' -d 'Which way: a-to-b, b-to-a (a and b as in --link) or both.' -rfka 'a-to-b b-to-a both'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter lab impair" clear' -l 'clear' -d 'Make the link whole again.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter lab impair" version' -l 'version' -d 'Show the version.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter lab impair" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter lab list" json' -l 'json' -d 'One JSON document.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter lab list" version' -l 'version' -d 'Show the version.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter lab list" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter node" version' -l 'version' -d 'Show the version.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter node" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter node" -eq 1' -fa 'run' -d 'Run a node\'s daemon in the foreground.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter node" -eq 1' -fa 'remove' -d 'Remove the relays that a node\'s daemon left in the kernel.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter node run" -eq 1' -fa '(set -l exts \'yaml\' \'yml\';for p in (string match -e -- \'*/\' (commandline -t);or printf \n)*.{$exts};printf %s\n $p;end;__fish_complete_directories (commandline -t) \'\')'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter node run" name' -l 'name' -d 'The node\'s name in the file.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter node run" relay-capacity' -l 'relay-capacity' -d 'Relays that the tables of engine sandbox hold.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter node run" log-format' -l 'log-format' -d 'The log\'s format on stderr: text or json.' -rfka 'text json'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter node run" metrics' -l 'metrics' -d 'Answer /metrics, /healthz and /readyz by HTTP on this port of 127.0.0.1, or on ADDRESS:PORT.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter node run" version' -l 'version' -d 'Show the version.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter node run" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter node remove" -eq 1' -fa '(set -l exts \'yaml\' \'yml\';for p in (string match -e -- \'*/\' (commandline -t);or printf \n)*.{$exts};printf %s\n $p;end;__fish_complete_directories (commandline -t) \'\')'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter node remove" name' -l 'name' -d 'The node\'s name in the file.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter node remove" version' -l 'version' -d 'Show the version.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter node remove" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter monitor" -eq 1' -fa '(set -l exts \'yaml\' \'yml\';for p in (string match -e -- \'*/\' (commandline -t);or printf \n)*.{$exts};printf %s\n $p;end;__fish_complete_directories (commandline -t) \'\')'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter monitor" topology' -l 'topology' -d 'The topology\'s name, where its file is not at hand or several labs run.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter monitor" once' -l 'once' -d 'Print one table and exit.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter monitor" json' -l 'json' -d 'Print one JSON document and exit.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter monitor" jsonl' -l 'jsonl' -d 'Print one JSON object a line for each interval.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter monitor" events' -l 'events' -d 'Print a line for each event: streams that start, stop, lose or restart, broken limits, silent nodes. With --jsonl, objects.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter monitor" csv' -l 'csv' -d 'Print comma-separated values.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter monitor" record' -l 'record' -d 'Record all readings in this file, beside what is shown.' -rF
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter monitor" play' -l 'play' -d 'Show this recording instead of running nodes.' -rF
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter monitor" interval' -l 'interval' -d 'Time between two readings, 250ms to 60s.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter monitor" count' -l 'count' -d 'How many intervals to report; --jsonl and --events go on without it, all others report one.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter monitor" sort' -l 'sort' -d 'Sort by a column: stream, hop, node, engine, state, pps, pps-out, bits, bits-out, loss, lost, link-lost, dropped, jitter, jitter-max, ipdv, pdv, added, link-added, p50, p99, max.' -rfka 'stream hop node engine state pps pps-out bits bits-out loss lost link-lost dropped jitter jitter-max ipdv pdv added link-added p50 p99 max'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter monitor" columns' -l 'columns' -d 'Columns of live view, table and --csv in their order: a list, or changes to the usual ones (+ipdv,-max), or all. There are stream, hop, node, engine, state, pps, pps-out, bits, bits-out, loss, lost, link-lost, dropped, jitter, jitter-max, ipdv, pdv, added, link-added, p50, p99, max, minute. Without it: STREAMROUTER_COLUMNS.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter monitor" theme' -l 'theme' -d 'Colours by name (default, dark, light, safe, mono), or as PART=SGR pairs that change the default: good=34,bad=1;35. Without it: STREAMROUTER_THEME.' -rfka 'default dark light safe mono'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter monitor" filter' -l 'filter' -d 'Show relays with this text in their stream, node, engine or state; !text shows the others.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter monitor" color' -l 'color' -d 'Colours: auto, always or never. auto obeys NO_COLOR and TERM.' -rfka 'auto always never'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter monitor" ascii' -l 'ascii' -d 'No characters beyond ASCII.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter monitor" version' -l 'version' -d 'Show the version.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter monitor" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter check" -eq 1' -fa '(set -l exts \'yaml\' \'yml\';for p in (string match -e -- \'*/\' (commandline -t);or printf \n)*.{$exts};printf %s\n $p;end;__fish_complete_directories (commandline -t) \'\')'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter check" topology' -l 'topology' -d 'The topology\'s name, where its file is not at hand or several labs run.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter check" stream' -l 'stream' -d 'The only stream to judge.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter check" for' -l 'for' -d 'How long; 30s by default.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter check" interval' -l 'interval' -d 'Time between two readings, 250ms to 60s.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter check" json' -l 'json' -d 'Print the report as one JSON document.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter check" version' -l 'version' -d 'Show the version.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter check" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter report" -eq 1' -fa '(set -l exts \'yaml\' \'yml\';for p in (string match -e -- \'*/\' (commandline -t);or printf \n)*.{$exts};printf %s\n $p;end;__fish_complete_directories (commandline -t) \'\')'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter report" topology' -l 'topology' -d 'The topology\'s name, where its file is not at hand or several labs run.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter report" for' -l 'for' -d 'How long; 30s by default.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter report" interval' -l 'interval' -d 'Time between two readings, 250ms to 60s; 1s by default.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter report" play' -l 'play' -d 'Report this recording.' -rF
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter report" from' -l 'from' -d 'With --play: readings from then on; 2026-03-14T15:09:26Z, 15:09 (UTC), or 90s after its beginning.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter report" to' -l 'to' -d 'With --play: readings until then.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter report" json' -l 'json' -d 'One JSON document.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter report" csv' -l 'csv' -d 'Comma-separated values, a line for each hop.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter report" html' -l 'html' -d 'One page of HTML with charts.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter report" columns' -l 'columns' -d 'Columns of the tables and --csv, as of \'monitor --columns\'. Without it: STREAMROUTER_COLUMNS.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter report" output' -l 'output' -d 'Write to this file instead of standard output.' -rF
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter report" version' -l 'version' -d 'Show the version.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter report" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter send" to' -l 'to' -d 'Where to.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter send" stream' -l 'stream' -d 'The stream whose first hop it is sent to.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter send" topology' -l 'topology' -d 'The topology file or the topology\'s name; not needed where exactly one lab runs.' -rfa '(set -l exts \'yaml\' \'yml\';for p in (string match -e -- \'*/\' (commandline -t);or printf \n)*.{$exts};printf %s\n $p;end;__fish_complete_directories (commandline -t) \'\')'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter send" from' -l 'from' -d 'The node to send from, with --stream: by default one from which the first hop takes packets.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter send" transport' -l 'transport' -d 'rtp or udp; by default the stream\'s protocol, and rtp with --to.' -rfka 'udp rtp'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter send" rate' -l 'rate' -d 'Packets a second (5000, 5k) or bits of payload a second (8Mbit).' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter send" ramp' -l 'ramp' -d 'A rate that changes evenly, as 1k..50k/30s; it stays at its end for the rest of --for or --count.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter send" size' -l 'size' -d 'Bytes of each datagram\'s payload.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter send" burst' -l 'burst' -d 'Packets that leave at once; the rate stays what it is.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter send" for' -l 'for' -d 'How long.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter send" count' -l 'count' -d 'How many packets.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter send" payload-type' -l 'payload-type' -d 'RTP payload type, 0 to 127.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter send" ssrc' -l 'ssrc' -d 'RTP synchronization source, in decimal or as 0x53520001.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter send" clock-rate' -l 'clock-rate' -d 'Hz of the RTP timestamps; by default the stream\'s, else by payload type.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter send" sequence' -l 'sequence' -d 'The first RTP sequence number.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter send" realtime' -l 'realtime' -d 'Send at real-time priority (SCHED_FIFO), for exact times on a busy machine.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter send" json' -l 'json' -d 'Print the report as one JSON document.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter send" version' -l 'version' -d 'Show the version.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter send" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter receive" at' -l 'at' -d 'Where to listen; with --stream the node, or address outside, whose sink it is.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter receive" stream' -l 'stream' -d 'The stream whose sink this is.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter receive" topology' -l 'topology' -d 'The topology file or the topology\'s name; not needed where exactly one lab runs.' -rfa '(set -l exts \'yaml\' \'yml\';for p in (string match -e -- \'*/\' (commandline -t);or printf \n)*.{$exts};printf %s\n $p;end;__fish_complete_directories (commandline -t) \'\')'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter receive" transport' -l 'transport' -d 'rtp or udp; by default the stream\'s protocol, and rtp without --stream.' -rfka 'udp rtp'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter receive" clock-rate' -l 'clock-rate' -d 'Hz of the RTP timestamps; by default the stream\'s, else by payload type.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter receive" for' -l 'for' -d 'End after this time.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter receive" count' -l 'count' -d 'End after this many packets.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter receive" idle' -l 'idle' -d 'End when this time has passed after the last packet.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter receive"' -l 'fail-when' -d 'Exit with status 2 where this holds at the end: loss>0, loss>0.1%, duplicates>0, reordered>0, queue>0, jitter>5ms, delay>20ms, and of MPEG-TS df>50ms or mlr>0. Repeatable.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter receive" realtime' -l 'realtime' -d 'Receive at real-time priority (SCHED_FIFO).'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter receive" json' -l 'json' -d 'Print the report as one JSON document.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter receive" version' -l 'version' -d 'Show the version.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter receive" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter sdp" topology' -l 'topology' -d 'The topology file or the topology\'s name; not needed where exactly one lab runs.' -rfa '(set -l exts \'yaml\' \'yml\';for p in (string match -e -- \'*/\' (commandline -t);or printf \n)*.{$exts};printf %s\n $p;end;__fish_complete_directories (commandline -t) \'\')'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter sdp" at' -l 'at' -d 'The node, or the address outside, at which the player is; needed where a stream has several sinks.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter sdp"' -l 'codec' -d 'What a stream carries: h264, h265, vp8, vp9, av1, jpeg, mpegts, opus, l16, l24, pcmu, pcma, g722, mpa; repeatable as STREAM=CODEC.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter sdp"' -l 'payload-type' -d 'RTP payload type, 0 to 127; repeatable as STREAM=NUMBER.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter sdp"' -l 'fmtp' -d 'What stands in a=fmtp, as sprop-parameter-sets=...; repeatable as STREAM:PARAMETERS.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter sdp" sender' -l 'sender' -d 'The encoder\'s SDP file: its formats, with the sink\'s address and port.' -rF
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter sdp" version' -l 'version' -d 'Show the version.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter sdp" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter capture" topology' -l 'topology' -d 'The topology file or the topology\'s name; not needed where exactly one lab runs.' -rfa '(set -l exts \'yaml\' \'yml\';for p in (string match -e -- \'*/\' (commandline -t);or printf \n)*.{$exts};printf %s\n $p;end;__fish_complete_directories (commandline -t) \'\')'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter capture" w write' -s 'w' -l 'write' -d 'The file to write.' -rF
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter capture" before' -l 'before' -d 'Before the extensions, as packets come in (default), or after them, as they leave.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter capture" after' -l 'after' -d 'Before the extensions, as packets come in (default), or after them, as they leave.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter capture" for' -l 'for' -d 'End after this time.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter capture" count' -l 'count' -d 'End after so many written packets.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter capture" size' -l 'size' -d 'Bytes of a file, as 100M; the next one begins, or the capture ends.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter capture" rotate' -l 'rotate' -d 'Time after which the next file begins.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter capture" files' -l 'files' -d 'Keep the latest so many files, each with a number in its name.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter capture"' -l 'when' -d 'Write only what is around the moments at which this holds: jitter>5ms, loss>0 or loss>1%. Repeatable.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter capture" keep' -l 'keep' -d 'Time to keep before and after, with --when.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter capture" memory' -l 'memory' -d 'Memory for what came before, with --when (default: 64M).' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter capture" json' -l 'json' -d 'Print the report as one JSON document.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter capture" version' -l 'version' -d 'Show the version.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter capture" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter replay" -eq 1' -fa '(set -l exts \'pcap\' \'pcapng\';for p in (string match -e -- \'*/\' (commandline -t);or printf \n)*.{$exts};printf %s\n $p;end;__fish_complete_directories (commandline -t) \'\')'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter replay" to' -l 'to' -d 'Where to.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter replay" stream' -l 'stream' -d 'The stream whose first hop it is sent to.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter replay" topology' -l 'topology' -d 'The topology file or the topology\'s name; not needed where exactly one lab runs.' -rfa '(set -l exts \'yaml\' \'yml\';for p in (string match -e -- \'*/\' (commandline -t);or printf \n)*.{$exts};printf %s\n $p;end;__fish_complete_directories (commandline -t) \'\')'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter replay" from' -l 'from' -d 'The node to send from, with --stream: by default one from which the first hop takes packets.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter replay" speed' -l 'speed' -d 'How many times as fast as it was captured.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter replay" loop' -l 'loop' -d 'Again and again, until Ctrl-C.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter replay" times' -l 'times' -d 'So many times.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter replay" filter' -l 'filter' -d 'Which packets, as in tcpdump.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter replay" ssrc' -l 'ssrc' -d 'RTP synchronization source to write, in decimal or as 0x53520001.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter replay" payload-type' -l 'payload-type' -d 'RTP payload type to write, 0 to 127.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter replay" sequence' -l 'sequence' -d 'The first RTP sequence number to write; the others keep their distance.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter replay" timestamp' -l 'timestamp' -d 'The first RTP timestamp to write; the others keep their distance.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter replay" realtime' -l 'realtime' -d 'Send at real-time priority (SCHED_FIFO), for exact times on a busy machine.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter replay" json' -l 'json' -d 'Print the report as one JSON document.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter replay" version' -l 'version' -d 'Show the version.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter replay" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter analyze" -eq 1' -fa '(set -l exts \'pcap\' \'pcapng\';for p in (string match -e -- \'*/\' (commandline -t);or printf \n)*.{$exts};printf %s\n $p;end;__fish_complete_directories (commandline -t) \'\')'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter analyze" sdp' -l 'sdp' -d 'A session description, whose a=rtpmap lines give clock rates.' -rfa '(for p in (string match -e -- \'*/\' (commandline -t);or printf \n)*.\'sdp\';printf %s\n $p;end;__fish_complete_directories (commandline -t) \'\')'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter analyze"' -l 'clock-rate' -d 'Hz of a payload type\'s timestamps. Repeatable.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter analyze" filter' -l 'filter' -d 'Which packets, as in tcpdump.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter analyze" json' -l 'json' -d 'Print the report as one JSON document.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter analyze" version' -l 'version' -d 'Show the version.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter analyze" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter bench" repetitions' -l 'repetitions' -d 'Rounds in which the ways take turns; medians are reported.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter bench" seconds' -l 'seconds' -d 'Seconds at each offered rate.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter bench" busy-threads' -l 'busy-threads' -d 'Busy threads beside the relay.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter bench" transit-packets' -l 'transit-packets' -d 'Packets of each transit figure, at 5,000 a second.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter bench"' -l 'only' -d 'Measure only this: cost, throughput, transit. Repeatable.' -rfka 'cost throughput transit'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter bench"' -l 'extension' -d 'Also measure what this built extension costs: FILE or FILE,parameter=value,... Repeatable.' -rfa '(for p in (string match -e -- \'*/\' (commandline -t);or printf \n)*.\'srx\';printf %s\n $p;end;__fish_complete_directories (commandline -t) \'\')'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter bench" without-account' -l 'without-account' -d 'Also measure costs with the account left out.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter bench" json' -l 'json' -d 'Print the results as one JSON document.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter bench" version' -l 'version' -d 'Show the version.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter bench" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter extension" version' -l 'version' -d 'Show the version.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter extension" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter extension" -eq 1' -fa 'new' -d 'Write a first extension to start from.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter extension" -eq 1' -fa 'build' -d 'Build Swift files into extensions that nodes can load.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter extension" -eq 1' -fa 'check' -d 'Have the kernel\'s verifier look at built extensions.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter extension" -eq 1' -fa 'test' -d 'Run built extensions on packets, and compare what comes out.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter extension" -eq 1' -fa 'list' -d 'List the built extensions that topologies can use.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter extension" -eq 1' -fa 'show' -d 'Print what a built extension says of itself.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter extension new" version' -l 'version' -d 'Show the version.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter extension new" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter extension build" -ge 1' -fa '(for p in (string match -e -- \'*/\' (commandline -t);or printf \n)*.\'swift\';printf %s\n $p;end;__fish_complete_directories (commandline -t) \'\')'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter extension build" output-dir' -l 'output-dir' -d 'Where the built extensions go.' -rfa '(__streamrouter_complete_directories)'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter extension build" version' -l 'version' -d 'Show the version.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter extension build" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter extension check" -ge 1' -fa '(for p in (string match -e -- \'*/\' (commandline -t);or printf \n)*.\'srx\';printf %s\n $p;end;__fish_complete_directories (commandline -t) \'\')'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter extension check" log' -l 'log' -d 'Print the verifier\'s whole log where it refuses.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter extension check" version' -l 'version' -d 'Show the version.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter extension check" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter extension test" -ge 1' -fa '(for p in (string match -e -- \'*/\' (commandline -t);or printf \n)*.\'srx\';printf %s\n $p;end;__fish_complete_directories (commandline -t) \'\')'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter extension test" vectors' -l 'vectors' -d 'A file of vectors, or the folder where they are, if not beside the extensions.' -rfa '(for p in (string match -e -- \'*/\' (commandline -t);or printf \n)*.\'yaml\';printf %s\n $p;end;__fish_complete_directories (commandline -t) \'\')'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter extension test" pcap' -l 'pcap' -d 'A capture whose datagrams are run instead of vectors.' -rfa '(set -l exts \'pcap\' \'pcapng\';for p in (string match -e -- \'*/\' (commandline -t);or printf \n)*.{$exts};printf %s\n $p;end;__fish_complete_directories (commandline -t) \'\')'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter extension test" filter' -l 'filter' -d 'Which packets of the capture, as in tcpdump.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter extension test"' -l 'param' -d 'A parameter, with --pcap; extension.name=value where several have it. Repeatable.' -rfka ''
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter extension test" json' -l 'json' -d 'Print the report as one JSON document, with --pcap.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter extension test" version' -l 'version' -d 'Show the version.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter extension test" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter extension list"' -l 'dir' -d 'Look in this folder, and nowhere else. Repeatable.' -rfa '(__streamrouter_complete_directories)'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter extension list" topology' -l 'topology' -d 'Look beside this topology file first.' -rfa '(set -l exts \'yaml\' \'yml\';for p in (string match -e -- \'*/\' (commandline -t);or printf \n)*.{$exts};printf %s\n $p;end;__fish_complete_directories (commandline -t) \'\')'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter extension list" json' -l 'json' -d 'Print one JSON document.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter extension list" version' -l 'version' -d 'Show the version.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter extension list" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_positional "streamrouter extension show" -eq 1' -fa '(for p in (string match -e -- \'*/\' (commandline -t);or printf \n)*.\'srx\';printf %s\n $p;end;__fish_complete_directories (commandline -t) \'\')'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter extension show" json' -l 'json' -d 'Print one JSON document.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter extension show" version' -l 'version' -d 'Show the version.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter extension show" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'streamrouter' -n '__streamrouter_should_offer_completions_for_flags_or_options "streamrouter help" version' -l 'version' -d 'Show the version.'
