// Command payload is what a test's image runs: it prints the SHA-256 of the file that came beside it, and waits to be ended.
package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	bytes, err := os.ReadFile("/opt/payload")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Printf("%x\n", sha256.Sum256(bytes))
	<-stop
}
