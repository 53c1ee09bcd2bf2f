package main

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"

	"golang.org/x/time/rate"

	"example.com/chatroom"
)

// A rateLimit is how many messages each member may send. The zero rateLimit is
// no limit.
type rateLimit struct {
	perSecond rate.Limit
	burst     int // how many a member that was silent may send at once
}

var errRate = errors.New("want N or N,BURST, such as 5 or 5,20")

// set parses N or N,BURST. By default, a member may send at once what it may
// send in two seconds.
func (l *rateLimit) set(s string) error {
	number, burst, given := strings.Cut(s, ",")
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !(n > 0) || n > math.MaxInt32 {
		return errRate
	}
	l.perSecond, l.burst = rate.Limit(n), int(math.Ceil(2*n))
	if given {
		if l.burst, err = strconv.Atoi(burst); err != nil || l.burst < 1 {
			return errRate
		}
	}
	return nil
}

// options returns what makes a server keep its members to the limit.
func (l rateLimit) options() []chatroom.ServerOption {
	if l.burst == 0 {
		return nil
	}
	return []chatroom.ServerOption{chatroom.WithAdmit(l.admit), chatroom.WithOnMessage(wait)}
}

// admit is an admit hook. It gives each member a limiter of its own.
func (l rateLimit) admit(_ context.Context, j *chatroom.Join) error {
	j.Value = rate.NewLimiter(l.perSecond, l.burst)
	return nil
}

// wait is a message hook. It makes who sends too fast wait, which is not read
// meanwhile, and so sends no faster.
func wait(ctx context.Context, m chatroom.Member, _ *chatroom.Message) error {
	_ = m.Value.(*rate.Limiter).Wait(ctx) // it fails when the member or the server goes, which the server knows
	return nil
}
