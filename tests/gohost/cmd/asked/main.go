// Command asked answers each line of its standard input. It is no plugin: any Go program can be debugged.
package main

import (
	"bufio"
	"fmt"
	"os"
)

func answer(line string) string {
	twice := line + line
	return twice
}

func main() {
	fmt.Println("ready", os.Getpid())
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		if lines.Text() == "panic" {
			go func() { panic("asked to") }()
			continue
		}
		fmt.Println(answer(lines.Text()))
	}
}
