module example.com/chatroom/chatroomtest/nettest

go 1.25.0

require (
	example.com/chatroom v0.0.0
	go.uber.org/goleak v1.3.0
	golang.org/x/net v0.58.0
)

replace example.com/chatroom => ../..
