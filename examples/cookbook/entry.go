package cookbook

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"example.com/chatroom"
)

// Tokens lets in who knows the token of a name: the client joins as "alice:token". The
// tokens are long and random, so that their plain hashes need not be kept secret.
func Tokens(hashes map[string][sha256.Size]byte) chatroom.ServerOption {
	return chatroom.WithAdmit(func(_ context.Context, j *chatroom.Join) error {
		var token string
		j.Name, token, _ = strings.Cut(j.Name, ":")
		want, known := hashes[j.Name]
		got := sha256.Sum256([]byte(token))
		if subtle.ConstantTimeCompare(got[:], want[:]) == 0 || !known {
			return Refuse(j, errors.New("wrong name or token"))
		}
		return nil
	})
}

// Refuse tells a connection why it is not let in, and returns that for the admit hook
// to return.
func Refuse(j *chatroom.Join, why error) error {
	words := chatroom.AppendFrame(chatroom.AppendFrame(nil, []byte("host")), []byte(why.Error()))
	_, _ = j.Conn.Write(words) // the peer has gone, or does not read, if it fails
	return why
}

// CertificateNames calls everybody what the client certificate says, and puts them into
// the room of their unit. The listener's tls.Config has the ClientAuth
// RequireAndVerifyClientCert.
func CertificateNames() chatroom.ServerOption {
	return chatroom.WithAdmit(func(_ context.Context, j *chatroom.Join) error {
		conn, ok := j.Conn.(*tls.Conn)
		if !ok || len(conn.ConnectionState().VerifiedChains) == 0 {
			return errors.New("no client certificate")
		}
		subject := conn.ConnectionState().PeerCertificates[0].Subject
		j.Name = subject.CommonName
		if len(subject.OrganizationalUnit) > 0 {
			j.Room = subject.OrganizationalUnit[0]
		}
		return nil
	})
}

// RoomsByListener puts each connection into the room of the listener that accepted it:
// of a port, such as "4321", or of a Unix socket's path.
func RoomsByListener(rooms map[string]string) chatroom.ServerOption {
	return chatroom.WithAdmit(func(_ context.Context, j *chatroom.Join) error {
		at := j.Conn.LocalAddr().String()
		if tcp, ok := j.Conn.LocalAddr().(*net.TCPAddr); ok {
			at = strconv.Itoa(tcp.Port)
		}
		j.Room = rooms[at]
		return nil
	})
}

// RoomsByName lets clients choose a room: who joins as "alice@games" is alice in the
// room "games".
func RoomsByName(rooms ...string) chatroom.ServerOption {
	return chatroom.WithAdmit(func(_ context.Context, j *chatroom.Join) error {
		j.Name, j.Room, _ = strings.Cut(j.Name, "@")
		if !slices.Contains(rooms, j.Room) {
			return Refuse(j, fmt.Errorf("there is no room %.100q", j.Room))
		}
		return nil
	})
}
