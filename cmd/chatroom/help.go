package main

// helps are the texts that -h prints, by subcommand. Each fits a screen of 24
// lines and 80 columns.
var helps = map[string]string{
	"": `Usage: chatroom [-name NAME] [-room ROOM] [-addr ADDR] [-cert FILE -key FILE]
       chatroom serve [-addr ADDR]...
       chatroom join [-name NAME] [-room ROOM] [ADDR]
       chatroom cluster

Without a command, chatroom hosts a room and joins it from this terminal. The
others host, join, and show how servers share their rooms: see their -h.

  -name NAME   your name in the room (default: $USER, or guest)
  -room ROOM   host rooms, as serve -rooms does, and join this one
  -addr ADDR   where to host (default 127.0.0.1:4321, this machine alone): a
               HOST:PORT, unix:PATH or tls:HOST:PORT. An empty HOST is every
               interface of this machine
  -web ADDR    let browsers join at ADDR, too, and print what to open
  -cert FILE, -key FILE   with a tls: address, certificate chain and key, in PEM
  -follow      not on a terminal: stay after the end of the input
  -version     print the version

On a terminal you are told who comes and goes. Ctrl-D or Ctrl-C leaves, which
closes the room you host. In a pipe, each line of the input is a message, and
each message that arrives is a line "name > text" of the output. NO_COLOR turns
the colours off.

Exit status: 0 when you left, 1 when something failed, 2 for a mistake.
`,
	"serve": `Usage: chatroom serve [-addr ADDR]... [FLAG]...

Hosts a room until interrupted. The standard error gets a log of what happens.

  -addr ADDR        where to listen (default 127.0.0.1:4321); any number of them
  -web ADDR         let browsers join there, at /ws, or with -rooms at /ws/ROOM
  -cert FILE, -key FILE   for tls: addresses, certificate chain and key, in PEM
  -rooms            who joins as NAME@ROOM is NAME in that room
  -history N        who joins receives the last N messages of the room first
  -unique, -max N   a server has each name once in a room, and N members at most
  -greeting TEXT    what "host" tells who joins; no member has that name then
  -rate N[,BURST]   who sends more than N messages a second has to wait; BURST
                    (default 2N) may come at once
  -debug-addr ADDR  serve /metrics, /debug/vars and /debug/pprof/ there, by HTTP
  -quiet, -version  log only warnings and errors; print the version
  -cluster URLS     share the rooms, through NATS at nats://HOST[:PORT],... with
                    all servers of the same -cluster-name NAME (default lobby)
  -replicas N       how many servers of NATS store each message (default 3)
  -outage TIME      disconnect members when NATS is away that long (default 30s)

An ADDR is HOST:PORT, unix:PATH or tls:HOST:PORT; no HOST is every interface.
The first SIGINT (Ctrl-C) or SIGTERM sends out what members are owed, for 10 s
at most, and the second ends it at once. Exit status: 0 when told to end, 1 when
something failed or members were cut off, 2 for a mistake.
`,
	"join": `Usage: chatroom join [-name NAME] [-room ROOM] [-follow] [-reconnect] [ADDR]

Joins the room at ADDR: HOST:PORT, unix:PATH or tls:HOST:PORT (default
127.0.0.1:4321). On a terminal, type a line to send it; Ctrl-D or Ctrl-C leaves.
In a pipe, each line of the input is a message of up to 1 MiB, and each message
that arrives is a line "name > text" of the output. Control characters, and
others that are not seen, are shown as \x1b, \u202e and so on.

  -name NAME         your name in the room (default: $USER, or guest)
  -room ROOM         the room, if the server has several (serve -rooms)
  -reconnect         connect again when the connection is lost
  -follow            not on a terminal: stay after the end of the input, until
                     the server closes the room or a signal
  -ca FILE           with tls:, trust the certificates in FILE, in PEM, instead
                     of the system's
  -servername NAME   with tls:, the name to verify (default: HOST)
  -version           print the version

Exit status: 0 when you left, or the room that -follow followed was closed; 1
when the server went before or refused the name, or something else failed; 2 for
a mistake in the command line. To hear of a refusal, a pipe that has received
nothing stays for a tenth of a second and two trips through the network.
`,
	"cluster": `Usage: chatroom cluster [-addr ADDR]... [-web ADDR]... [-verbose]

Shows on this machine how servers share their rooms. It runs three servers, and
the three of NATS JetStream that decide on the order of the messages. Each is a
process of its own. You are told how to join, and what to kill to see the others
go on. Enter starts again what has ended.

  -addr ADDR   where a server listens, HOST:PORT or unix:PATH; once for each
               (default 127.0.0.1:4321, 127.0.0.1:4322 and 127.0.0.1:4323)
  -web ADDR    let browsers join there; the first is for the first server
  -verbose     show also who comes and goes, not only warnings and errors
  -version     print the version

NATS listens on this machine only, at ports from 20000 on, and stores in a
temporary directory. Ctrl-C ends all processes, and removes the directory. Where
it matters, run NATS on machines of its own, and "chatroom serve -cluster".

Exit status: 0 when told to end, 1 when something failed, 2 for a mistake.
`,
}
