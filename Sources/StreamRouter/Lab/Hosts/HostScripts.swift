/// What runs on the machines: POSIX shell, each script whole and harmless when run again.
///
/// A machine of a lab has a mark, /etc/streamrouter/lab: whose it is, and what was put there. It is written before
/// anything else and removed after everything else, so that whoever comes after a crash knows what to take away.
enum HostScripts {
  /// Exit status of a script that found the machine not fit, or somebody else's (EX_CONFIG).
  static let unsuited = 78
  static let program = "/usr/local/bin/streamrouter"
  static let controllerSocket = "/run/streamrouter/controller.sock"

  private static let common = #"""
    set -u
    umask 022
    export LC_ALL=C PATH="${PATH:-/usr/bin:/bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin"
    etc=/etc/streamrouter mark=/etc/streamrouter/lab
    state=/var/lib/streamrouter run=/run/streamrouter logs=/var/log/streamrouter
    program=/usr/local/bin/streamrouter
    die() { printf '%s\n' "$1" >&2; exit "${2:-1}"; }
    marked() { if [ -r "$mark" ]; then sed -n "s/^$1 //p" "$mark"; fi; }
    digest() { if [ -r "$1" ]; then sha256sum "$1" | cut -d' ' -f1; fi; }
    has_systemd() { [ -d /run/systemd/system ] && command -v systemctl >/dev/null; }
    unit() { printf 'streamrouter-lab-%s.service' "$1"; }

    # Makes a folder, and notes that it was made.
    folder() { # PATH MODE
        [ -d "$1" ] && return
        mkdir -p -m "$2" "$1" || die "cannot make $1"
        printf 'made %s\n' "$1" >>"$mark"
    }

    # Clock ticks from boot to a process's start, field 22 of its stat: counted behind the name, which may hold anything.
    # With it, another process that got the same id is never taken for ours. Nothing where it has ended.
    ticks() { # PID
        set -- $(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null)
        [ $# -ge 20 ] && [ "$1" != Z ] && [ "$1" != X ] && shift 19 && printf '%s' "$1"
    }

    # Prints the process of a daemon that runs.
    running() { # ROLE
        if has_systemd; then
            systemctl is-active --quiet "$(unit "$1")" && systemctl show --property MainPID --value "$(unit "$1")"
            return
        fi
        [ -r "$run/lab-$1.pid" ] || return 1
        read -r pid since <"$run/lab-$1.pid"
        [ -n "$pid" ] && [ "$(ticks "$pid")" = "$since" ] && printf '%s\n' "$pid"
    }

    last_words() { # ROLE
        if has_systemd; then
            journalctl --quiet --no-pager --output cat --lines 15 --unit "$(unit "$1")" 2>/dev/null
        elif [ -r "$logs/$1.log" ]; then
            tail -n 15 "$logs/$1.log"
        fi
    }

    # Ends a daemon: SIGTERM, and SIGKILL after fifteen seconds, as its service would.
    halt() { # ROLE
        if has_systemd; then
            [ -e "/etc/systemd/system/$(unit "$1")" ] || return 0
            systemctl stop "$(unit "$1")" || die "systemd does not stop $(unit "$1")"
            return
        fi
        pid=$(running "$1") || { rm -f "$run/lab-$1.pid"; return 0; }
        since=$(ticks "$pid") left=150
        kill -TERM "$pid" 2>/dev/null
        while [ "$(ticks "$pid")" = "$since" ]; do
            [ "$left" -eq 0 ] && kill -KILL "$pid" 2>/dev/null
            [ "$left" -lt -20 ] && die "process $pid, $1 of the lab, does not end"
            left=$((left - 1))
            sleep 0.1
        done
        rm -f "$run/lab-$1.pid"
    }

    """#

  /// As whoever logs in: what the machine is. `$1` and so on: `SONAME=PATH` of each library.
  static let look = #"""
    export LC_ALL=C PATH="${PATH:-/usr/bin:/bin}:/usr/sbin:/sbin"
    printf 'system %s\nmachine %s\nkernel %s\nuser %s\n' "$(uname -s)" "$(uname -m)" "$(uname -r)" "$(id -un)"
    if [ "$(id -u)" = 0 ]; then
        echo rights root
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        echo rights sudo
    else
        echo rights none
    fi
    if grep -qs ' /sys/fs/bpf bpf ' /proc/mounts; then echo bpf yes; fi
    for tool in sha256sum setsid sed cut; do
        if ! command -v "$tool" >/dev/null; then printf 'no-tool %s\n' "$tool"; fi
    done
    known=$(ldconfig -p 2>/dev/null)
    for library; do
        name=${library%%=*} path=${library#*=}
        if [ ! -e "$path" ] && ! printf '%s\n' "$known" | grep -qF "$name "; then printf 'no-library %s\n' "$name"; fi
    done

    """#

  /// What of a lab, or of somebody else's, is there already.
  static let inspect =
    common + #"""
      if [ -e "$mark" ]; then cat "$mark"; fi
      printf 'digest %s\n' "$(digest "$program")"
      if [ -e "$state/controller.json" ]; then echo 'state joined'; fi
      if [ -e "$state/authority" ]; then echo 'state authority'; fi
      for role in controller node; do
          if pid=$(running $role); then printf '%s-pid %s\n' "$role" "$pid"; fi
      done
      node=$(marked node) lab=$(marked lab)
      if [ -S "$run/$lab/$node.sock" ]; then echo 'ready yes'; fi

      """#

  /// Makes the machine the lab's: lab, installation, node, address of the controller.
  static let claim =
    common + #"""
      new="lab $1
      installation $2
      node $3
      controller $4"
      if [ ! -d "$etc" ]; then made=yes; mkdir -p "$etc" || die "cannot make $etc"; fi
      # Whoever makes the file has the machine: another name of the same machine comes too late.
      if (set -C; printf '%s\n' "$new" >"$mark") 2>/dev/null; then
          if [ "${made:-}" ]; then printf 'made %s\n' "$etc" >>"$mark"; fi
      elif [ "$(head -n 4 "$mark")" != "$new" ]; then
          die "it is node $(marked node) of lab $(marked lab) already: two hosts of the file are one machine, or somebody else was quicker" 78
      fi

      """#

  /// Puts the program there, from standard input. `$1`: its digest.
  static let install =
    common + #"""
      [ -d /usr/local/bin ] || mkdir -p /usr/local/bin
      new=$(mktemp /usr/local/bin/.streamrouter.XXXXXX) || die "cannot write to /usr/local/bin"
      trap 'rm -f "$new"' EXIT
      cat >"$new" || die "cannot write the program to /usr/local/bin: is the disk full?"
      [ "$(digest "$new")" = "$1" ] || die "what arrived is not what was sent: the connection broke, or the disk is full"
      chmod 755 "$new"
      said=$("$new" --version 2>&1) || die "the program does not run there: $said" 78
      # Noted before: what a crash leaves is known to be ours. The former one, too, until this one is there.
      printf 'program %s\n' "$1" >>"$mark"
      mv -f "$new" "$program" || die "cannot write $program"

      """#

  /// Makes a daemon run and go on after a crash and a start of the machine, where systemd is there. `$1`: lab; `$2`:
  /// `restart`, or nothing. Prints what it did. What follows calls `service`.
  static let services =
    common + #"""
      lab=$1 restart=$2
      shift 2

      written() { # ROLE ARGUMENT...
          role=$1
          shift
          cat <<END
      # Written by 'streamrouter lab up --hosts', removed by 'streamrouter lab down $lab'.
      [Unit]
      Description=StreamRouter $role of lab $lab
      Wants=network-online.target
      After=network-online.target
      StartLimitIntervalSec=0

      [Service]
      Type=notify
      NotifyAccess=main
      Environment=STREAMROUTER_RUNTIME_DIR=$run STREAMROUTER_STATE_DIRECTORY=$state SWIFT_BACKTRACE=enable=no
      ExecStart=$program $*
      WatchdogSec=30s
      Restart=on-failure
      RestartSec=2s
      RestartPreventExitStatus=64 77
      KillMode=mixed
      TimeoutStopSec=15s
      LimitNOFILE=65536
      LimitCORE=0
      RuntimeDirectory=streamrouter
      RuntimeDirectoryMode=0755
      RuntimeDirectoryPreserve=yes

      [Install]
      WantedBy=multi-user.target
      END
      }

      by_systemd() { # ROLE ARGUMENT...
          name=$(unit "$1") file=/etc/systemd/system/$(unit "$1")
          folder "$run" 755
          if [ "$(cat "$file" 2>/dev/null)" != "$(written "$@")" ]; then
              written "$@" >"$file" || die "cannot write $file"
              systemctl daemon-reload || die "systemd does not read $file"
              restart=restart
          fi
          systemctl is-enabled --quiet "$name" || systemctl enable --quiet "$name" || die "systemd does not enable $name"
          if [ -z "$restart" ] && systemctl is-active --quiet "$name"; then return; fi
          systemctl restart "$name" || die "$name does not start; the end of its log:
      $(last_words "$1")"
          printf 'started %s\n' "$1"
      }

      # In the background: a session of its own, nothing of this connection left open, and its id noted by itself.
      by_itself() { # ROLE ARGUMENT...
          role=$1
          shift
          folder "$run" 755
          folder "$logs" 755
          if [ "$(cat "$run/lab-$role.command" 2>/dev/null)" != "$*" ]; then restart=restart; fi
          if running "$role" >/dev/null; then
              if [ -z "$restart" ]; then return; fi
              halt "$role"
          fi
          printf '%s\n' "$*" >"$run/lab-$role.command"
          rm -f "$run/lab-$role.pid"
          # shellcheck disable=SC2016 # that shell's own id
          setsid sh -c 'file=$1; shift
              set -- "$@"
              printf "%s %s\n" "$$" "$(sed "s/.*) //" "/proc/$$/stat" | cut -d" " -f20)" >"$file.new"
              mv "$file.new" "$file"
              exec "$@"' sh "$run/lab-$role.pid" \
              env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root STREAMROUTER_RUNTIME_DIR="$run" \
              STREAMROUTER_STATE_DIRECTORY="$state" SWIFT_BACKTRACE=enable=no "$program" "$@" \
              </dev/null >>"$logs/$role.log" 2>&1 &
          printf 'started %s\n' "$role"
      }

      service() { # ROLE ARGUMENT...
          if has_systemd; then by_systemd "$@"; else by_itself "$@"; fi
      }

      # Waits for at most ten seconds, while the daemon runs.
      await() { # ROLE COMMAND...
          role=$1 left=100 seen=
          shift
          until "$@" >/dev/null 2>&1; do
              if running "$role" >/dev/null; then
                  seen=yes
              elif [ "$seen" ] || [ "$left" -lt 80 ]; then
                  die "the $role ended before it was ready; the end of its log:
      $(last_words "$role")"
              fi
              [ "$left" -gt 0 ] || die "the $role is not ready after 10 s; the end of its log:
      $(last_words "$role")"
              left=$((left - 1))
              sleep 0.1
          done
      }

      """#

  /// Runs the controller, and makes its authority first where there is none. Behind lab and restart: the node here, where
  /// nodes reach the controller, where it listens for them, and where for those who join.
  static let controller =
    services + #"""
      folder "$state" 700
      # An authority without what is written last: the first try was interrupted, and nobody has joined it.
      if [ ! -e "$state/controller.json" ]; then rm -rf "$state/authority" "$state/identity"; fi
      if [ ! -e "$state/authority" ]; then
          "$program" node init --name "$1" --controller "$2" --state-directory "$state" >/dev/null || exit 1
          echo joined
      fi
      service controller controller run --listen "$3" --join "$4"
      # Not status, which also says whether all nodes are there.
      await controller "$program" history --socket "$run/controller.sock"

      """#

  /// Prints a token for a node, which works once. `$1`: the node.
  static let token =
    common + #"""
      "$program" token create --node "$1" --state-directory "$state"

      """#

  /// Joins with the token on standard input. `$1`: the node, `$2`: where to join, `$3`: where the controller is then.
  static let join =
    common + #"""
      folder "$state" 700
      "$program" node join "$2" --name "$1" --controller "$3" --token-file - --state-directory "$state" >/dev/null

      """#

  /// Shuts a node out whose machine was given back. `$1`: the node.
  static let revoke =
    common + #"""
      "$program" node revoke "$1" --state-directory "$state"

      """#

  /// Runs the node. Behind lab and restart: nothing.
  static let node =
    services + #"""
      service node node run
      await node running node

      """#

  /// The end of a daemon's log. `$1`: node or controller.
  static let log = common + #"last_words "$1""#

  /// Lets whoever logs in, where that is not root, ask the controller.
  static let admit = #"""
    if [ "${SUDO_UID:-}" ]; then chown "$SUDO_UID" /run/streamrouter/controller.sock; fi

    """#

  /// Takes away what was put there, and nothing else. `$1`: lab. Prints what it left and why.
  static let remove =
    common + #"""
      if [ ! -e "$mark" ]; then echo nothing; exit; fi
      lab=$(marked lab)
      [ "$lab" = "$1" ] || die "it belongs to lab $lab, so nothing was removed" 78
      node=$(marked node)
      halt node
      halt controller
      # Without an authority this is a node as any other, which may leave: that ends its relays.
      rm -rf "$state/authority" "$state/controller"
      if [ -e "$state/identity" ] && [ -e "$state/controller.json" ]; then
          [ -x "$program" ] || die "$program is gone, and only it can end the relays: 'streamrouter lab up' puts it back"
          said=$("$program" node leave --state-directory "$state" 2>&1) || die "its relays cannot be ended: $said"
      fi
      for role in node controller; do
          if [ -e "/etc/systemd/system/$(unit $role)" ]; then
              if has_systemd; then systemctl disable --quiet "$(unit $role)"; fi
              rm -f "/etc/systemd/system/$(unit $role)"
              reload=yes
          fi
          rm -f "$run/lab-$role.pid" "$run/lab-$role.command" "$logs/$role.log"
      done
      if [ "${reload:-}" ] && has_systemd; then systemctl daemon-reload; fi
      rm -rf "$state/identity" "$state/member" "$state/controller.json" "$state"/*.lock
      rm -rf "$run/controller.sock" "$run/$lab/$node.sock" "$run/$lab/$node.log" "$run/$lab/$node.extensions"
      rmdir "$run/$lab" 2>/dev/null
      rmdir "/sys/fs/bpf/streamrouter/$lab" 2>/dev/null
      # A folder of the service's user is a package's.
      if [ -O /sys/fs/bpf/streamrouter ]; then rmdir /sys/fs/bpf/streamrouter 2>/dev/null; fi
      if [ -e "$program" ] && [ "$(marked program)" ]; then
          if marked program | grep -qxF "$(digest "$program")"; then
              rm -f "$program"
          else
              echo "left $program, which is not the one that this lab put there"
          fi
      fi
      made=$(marked made)
      rm -f "$mark"
      # What others have put there meanwhile keeps its folder.
      printf '%s\n' "$made" | while read -r path; do
          if [ -n "$path" ] && [ -d "$path" ]; then rmdir "$path" 2>/dev/null || echo "left $path, which is not empty"; fi
      done

      """#
}
