package main

// helps are the texts that -h prints, by subcommand. Each fits a screen of 24
// lines and 80 columns.
var helps = map[string]string{
	"": `Usage: chatroom [-name NAME] [-room ROOM] [-addr ADDR] [-cert FILE -key FILE]
       chatroom serve [-addr ADDR]...
       chatroom join [-name NAME] [-room ROOM] [ADDR]

Without a command, chatroom hosts a room and joins it from this terminal.
"chatroom serve" only hosts and "chatroom join" only joins: see their -h.

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

Exit status: 0 when you left, 1 when something failed, 2 for a mistake in the
command line.
`,
	"serve": `Usage: chatroom serve [-addr ADDR]... [FLAG]...

Hosts a room until interrupted. The standard error gets a log of what happens.

  -addr ADDR        where to listen (default 127.0.0.1:4321); any number of them
  -web ADDR         let browsers join there, at /ws, or with -rooms at /ws/ROOM
  -cert FILE, -key FILE   for tls: addresses, certificate chain and key, in PEM
  -rooms            who joins as NAME@ROOM is NAME in that room
  -history N        who joins receives the last N messages of the room first
  -unique           nobody joins under a name that is taken in the room
  -max N            a room has N members at most
  -greeting TEXT    what "host" tells who joins; no member has that name then
  -rate N[,BURST]   who sends more than N messages a second has to wait; BURST
                    (default 2N) may come at once
  -debug-addr ADDR  serve /metrics, /debug/vars and /debug/pprof/ there, by HTTP
  -quiet            log only warnings and errors
  -version          print the version

An ADDR is HOST:PORT, unix:PATH or tls:HOST:PORT. An empty HOST is every
interface. The socket file that a crashed server left at PATH is replaced.

The first SIGINT (Ctrl-C) or SIGTERM sends out what members are still owed, for
10 seconds at most. The second ends it at once. Exit status: 0 when told to end,
1 when something failed or members were cut off, 2 for a mistake.
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
}
