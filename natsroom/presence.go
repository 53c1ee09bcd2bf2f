package natsroom

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go"
)

// kindMembers is the kind of an answer with members. Its number counts the answers of a server.
const kindMembers = 'm'

// answerBytes is how long an answer is, about.
const answerBytes = 128 << 10

// Presence is a member of one of the servers.
type Presence struct {
	Server string // whose member it is: another name for each order that was opened
	ID     uint64 // its chatroom.Member.ID there
	Name   string
	Room   string
}

// Count returns how many servers share the order, and how many members they have in all,
// as of their last beats. A server that has died is counted for three beats.
func (o *Order) Count() (servers, members int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	all, _ := o.peers.members()
	return len(o.peers.all), int(all)
}

// Members asks all servers for their members. It blocks until those that are counted have
// answered. When ctx ends first, it returns what has come, and ctx.Err(). It is as of
// different moments for different servers. The slice belongs to the caller.
func (o *Order) Members(ctx context.Context) ([]Presence, error) {
	answers := make(chan *nats.Msg, 1024)
	inbox := o.nc.NewInbox()
	sub, err := o.nc.ChanSubscribe(inbox, answers)
	if err != nil {
		return nil, fmt.Errorf("natsroom: ask for members: %w", err)
	}
	defer sub.Unsubscribe() //nolint:errcheck // fails if the connection is closed
	awaited := make(map[uint64]uint64)
	o.mu.Lock()
	for incarnation := range o.peers.all {
		awaited[incarnation] = 1
	}
	o.mu.Unlock()
	if err := o.nc.PublishRequest(o.subjects.who, inbox, nil); err != nil {
		return nil, fmt.Errorf("natsroom: ask for members: %w", err)
	}
	all := []Presence{}
	for len(awaited) > 0 {
		select {
		case m := <-answers:
			e, body, err := decodeEnvelope(m.Data)
			if err != nil || e.kind != kindMembers || awaited[e.incarnation] != e.n {
				continue // nobody's, or one before it did not arrive
			}
			members, isLast, err := decodeMembers(body)
			if err != nil {
				continue
			}
			for _, p := range members {
				p.Server = serverName(e.incarnation)
				all = append(all, p)
			}
			if awaited[e.incarnation]++; isLast {
				delete(awaited, e.incarnation)
			}
		case <-ctx.Done():
			return all, ctx.Err()
		case <-o.ctx.Done():
			return all, fmt.Errorf("natsroom: ask for members: %w", nats.ErrConnectionClosed)
		}
	}
	return all, nil
}

// answerWho answers who asks for members, and hears what others say of their pace. It ends with
// the order.
func (o *Order) answerWho() {
	requests := make(chan *nats.Msg, 64) // more than these are dropped
	who, err := o.nc.ChanSubscribe(o.subjects.who, requests)
	if err != nil {
		return // the connection is closed
	}
	defer who.Unsubscribe() //nolint:errcheck // fails if the connection is closed
	pace, err := o.nc.Subscribe(o.subjects.pace, o.hearPace)
	if err != nil {
		return
	}
	defer pace.Unsubscribe() //nolint:errcheck // likewise
	for {
		select {
		case m := <-requests:
			o.answer(m)
		case <-o.ctx.Done():
			return
		}
	}
}

func (o *Order) answer(m *nats.Msg) {
	members := o.server.Members()
	for n := uint64(1); ; n++ {
		body := envelope{kindMembers, o.incarnation, n}.append(nil)
		body = append(body, 0)
		i := 0
		for ; i < len(members) && len(body) < answerBytes; i++ {
			body = appendMember(body, Presence{ID: members[i].ID, Name: members[i].Name, Room: members[i].Room().Name()})
		}
		if members = members[i:]; len(members) == 0 {
			body[envelopeLen] = 1
		}
		if o.nc.Publish(m.Reply, body) != nil || len(members) == 0 {
			return
		}
	}
}

func appendMember(dst []byte, p Presence) []byte {
	dst = binary.AppendUvarint(dst, p.ID)
	for _, s := range []string{p.Name, p.Room} {
		dst = binary.AppendUvarint(dst, uint64(len(s)))
		dst = append(dst, s...)
	}
	return dst
}

func decodeMembers(data []byte) (members []Presence, isLast bool, err error) {
	r := wireReader{data: data}
	isLast = r.byte() != 0
	for len(r.data) > 0 {
		members = append(members, Presence{ID: r.uvarint(), Name: string(r.bytes(maxAnswer)), Room: string(r.bytes(maxAnswer))})
	}
	if r.failed {
		return nil, false, malformed("members")
	}
	return slices.Clip(members), isLast, nil
}

// maxAnswer is how many bytes a name in an answer may have.
const maxAnswer = 1 << 20
