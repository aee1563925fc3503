// Sends requests to two hosts, one of which is dead: example DEAD:PORT,ALIVE:PORT [https]
package main

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
)

func get(context Context) error {
	conn, err := context.Connect()
	if err != nil {
		return err
	}
	defer conn.Release()
	if _, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: example\r\n\r\n"); err != nil {
		return err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	conn.ReplyComplete()
	peer, reused := conn.Info()
	fmt.Printf("%s from %s, reused %d times\n", strings.TrimSpace(string(body)), peer, reused)
	return nil
}

func main() {
	https := fmt.Sprintf("use_https = %t\n", len(os.Args) > 2)
	context, err := NewContext(https + "host = " + os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	defer context.Close()
	for i := 0; i < 2; i++ {
		if err := get(context); err != nil {
			log.Fatal(err)
		}
	}
	now := context.Statistics()
	fmt.Printf("created %d, reused %d, idle %d\n", now.created, now.reused, now.idle)

	first, _, _ := strings.Cut(os.Args[1], ",")
	dead, err := NewContext(https + "host = " + first)
	if err != nil {
		log.Fatal(err)
	}
	defer dead.Close()
	fmt.Println("error:", get(dead))
}
