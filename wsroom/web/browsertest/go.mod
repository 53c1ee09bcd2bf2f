module example.com/chatroom/wsroom/web/browsertest

go 1.25.0

require (
	example.com/chatroom v0.0.0
	example.com/chatroom/wsroom v0.0.0
	github.com/chromedp/cdproto v0.159.0
	github.com/chromedp/chromedp v0.23.0
	github.com/stretchr/testify v1.12.1
	go.uber.org/goleak v1.3.0
)

require (
	github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
	github.com/gobwas/httphead v0.1.0 // indirect
	github.com/gobwas/pool v0.2.1 // indirect
	github.com/gobwas/ws v1.4.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
)

replace (
	example.com/chatroom => ../../..
	example.com/chatroom/wsroom => ../..
)
