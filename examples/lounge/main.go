// Lounge hosts a lobby and a room: join as "alice" or "alice@games", say "/msg NAME TEXT" and, as an admin, "/kick NAME".
package main

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"time"

	"example.com/chatroom"
	"example.com/chatroom/promroom"
	"golang.org/x/time/rate"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	dir, err1 := os.MkdirTemp("", "lounge") // nobody but this user can open what is in it
	defer func() { _ = os.RemoveAll(dir) }()
	admins, err2 := net.Listen("unix", dir+"/admins")
	public, err3 := net.Listen("tcp", "localhost:4321")
	if err := errors.Join(err1, err2, err3); err != nil {
		log.Panic(err) // and not Fatal, which would leave dir behind
	}
	s := chatroom.NewServer(options()...)
	log.Printf("the lounge is at localhost:4321, and for admins at unix:%s/admins", dir)
	go func() { defer stop(); log.Print(s.Serve(admins)) }()
	go func() { defer stop(); log.Print(s.Serve(public)) }()
	go func() { defer stop(); log.Print(http.ListenAndServe("localhost:9321", promroom.Handler(s))) }()
	<-ctx.Done()
	time.AfterFunc(10*time.Second, func() { _ = s.Close() }) // whoever has not taken what they are owed by then
	_ = s.Shutdown(context.Background())
}

func options() []chatroom.ServerOption {
	return []chatroom.ServerOption{chatroom.WithUniqueNames(), chatroom.WithHistory(20), chatroom.WithAdmit(admit),
		chatroom.WithOnJoin(func(ctx context.Context, m chatroom.Member) {
			_ = m.Send(ctx, "host", []byte("welcome, "+m.Name)) // fails only if m has left, or the lounge closes
		}), chatroom.WithOnMessage(hear)}
}

func admit(_ context.Context, j *chatroom.Join) error {
	j.Name, j.Room, _ = strings.Cut(j.Name, "@")
	j.Value = rate.NewLimiter(10, 20) // messages a second, and how many at once
	if j.Room != "" && j.Room != "games" || strings.EqualFold(j.Name, "host") || strings.ContainsAny(j.Name, " (") {
		return errors.New("no such room, or the host's name, or one that commands cannot have")
	}
	return nil
}

var rude = regexp.MustCompile(`(?i)\b(damn|heck)\b`)

func hear(ctx context.Context, m chatroom.Member, msg *chatroom.Message) error {
	if err := m.Value.(*rate.Limiter).Wait(ctx); err != nil {
		return err
	}
	msg.Body = rude.ReplaceAll(msg.Body, []byte("****"))
	words := append(strings.SplitN(string(msg.Body), " ", 3), "", "")
	if !strings.HasPrefix(words[0], "/") {
		return nil
	}
	answer := "nobody is called that, or you may not"
	for _, to := range m.Room().Members() {
		switch {
		case to.Name != words[1]:
		case words[0] == "/msg" && to.Send(ctx, m.Name+" (to you)", []byte(words[2])) == nil:
			answer = "told " + to.Name
		case words[0] == "/kick" && m.RemoteAddr.Network() == "unix":
			to.Kick(errors.New("kicked by " + m.Name))
			answer = to.Name + " is out"
		}
	}
	_ = m.Send(ctx, "host", []byte(answer))
	return chatroom.ErrDrop
}
