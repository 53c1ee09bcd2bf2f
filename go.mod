module example.com/chatroom

go 1.25.0
