// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine/binary"
)

// misbehaviours are what a compiler child of the tests does, once it is
// restricted, instead of compiling: what one might that a module has taken over.
// A test asks for it with the import "test".<name>, which reaches the child with
// the module's rules.
var misbehaviours = map[string]func(takenOver){
	"facts":        func(c takenOver) { c.refuse(facts()) },
	"segv":         func(takenOver) { unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGSEGV) },
	"panic":        func(takenOver) { panic("as LLVM's assertions do") },
	"hang":         func(takenOver) { select {} },
	"spin":         func(takenOver) { go spin(); spin() },
	"flood":        takenOver.flood,
	"garbage":      func(c takenOver) { c.reply.WriteString("{\"refused\":1}\n") },
	"allocate":     func(takenOver) { allocate() },
	"threads":      func(takenOver) { threads() },
	"open files":   takenOver.openFiles,
	"many files":   takenOver.manyFiles,
	"large file":   takenOver.largeFile,
	"full":         takenOver.fill,
	"symlink":      func(c takenOver) { os.Symlink("/etc/passwd", outName); c.claim(nil) },
	"fifo":         func(c takenOver) { unix.Mkfifo(outName, 0o777); c.claim(nil) },
	"nothing":      func(c takenOver) { c.claim(nil) },
	"forged code":  func(c takenOver) { c.write("\x00asm\x01\x00\x00\x00"); c.claim([]byte("\x00asm\x01\x00\x00\x00")) },
	"other code":   func(c takenOver) { c.write("other"); c.claim([]byte("order")) },
	"more code":    func(c takenOver) { c.write("others"); c.claim([]byte("other")) },
	"less code":    func(c takenOver) { c.write("othe"); c.claim([]byte("other")) },
	"many names":   func(c takenOver) { c.writeNames(binary.MaxNames + 1); c.write("other"); c.claim([]byte("other")) },
	"other counts": takenOver.claimFewer,
	"other engine": func(c takenOver) { c.Engine = "0.0.0"; _, err := compileModule(c.job); c.fail(err) },
}

// unfiltered are misbehaviours that the filter of system calls would end, and
// that the parent must survive without it.
var unfiltered = []string{"facts", "symlink", "fifo"}

func misbehave() {
	var c takenOver
	if json.Unmarshal([]byte(os.Args[1]), &c.job) != nil || len(c.Rules.Imports) != 1 || c.Rules.Imports[0].Module != "test" {
		return
	}
	c.reply = os.NewFile(answerFD, "answer") // owns the descriptor, so not before
	runtime.LockOSThread()
	name := c.Rules.Imports[0].Name
	if strings.HasPrefix(name, "forbidden ") {
		c.tryForbidden(name)
	}
	rights := restrict
	if slices.Contains(unfiltered, name) {
		rights = dropRights
	}
	if err := rights(c.job); err != nil {
		panic(err)
	}
	misbehaviours[name](c)
	os.Exit(0)
}

type takenOver struct {
	job

	reply *os.File
}

func (c takenOver) answer(a answer) {
	b, _ := a.encode()
	c.reply.Write(b)
	os.Exit(0)
}

func (c takenOver) refuse(text string) { c.answer(answer{Refused: text}) }
func (c takenOver) fail(err error)     { c.answer(answer{Failed: err.Error()}) }

// claim says that code was loaded.
func (c takenOver) claim(code []byte) {
	h := recordOf(code)
	c.answer(answer{Loaded: &h})
}

// claimFewer says of what it has compiled that there is nothing in it to count.
func (c takenOver) claimFewer() {
	h, err := compileModule(c.job)
	if err != nil {
		c.fail(err)
	}
	h.Counts = binary.Counts{}
	c.answer(answer{Loaded: h})
}

func (c takenOver) write(code string) { os.WriteFile(outName, []byte(code), 0o600) }

func (c takenOver) writeNames(size int) { os.WriteFile(namesName, make([]byte, size), 0o600) }

func spin() {
	for {
		sha256.Sum256(nil)
	}
}

func (c takenOver) flood() {
	for {
		c.reply.Write(bytes.Repeat([]byte("x"), 1<<16))
		os.Stderr.Write(bytes.Repeat([]byte("x"), 1<<16))
	}
}

func allocate() {
	for hog := []byte("x"); ; {
		hog = append(hog, hog...)
	}
}

func threads() {
	for {
		go func() {
			runtime.LockOSThread()
			select {}
		}()
	}
}

func (c takenOver) openFiles() {
	var files []*os.File
	for {
		f, err := os.OpenFile(outName, os.O_CREATE, 0o600)
		if err != nil {
			c.refuse(fmt.Sprintf("opened %v files: %v", len(files) < 64, errors.Unwrap(err)))
		}
		files = append(files, f)
	}
}

func (c takenOver) manyFiles() {
	for n := 0; ; n++ {
		if err := os.WriteFile(fmt.Sprintf("f%d", n), nil, 0o600); err != nil {
			c.refuse(fmt.Sprintf("made %d files: %v", n, errors.Unwrap(err)))
		}
	}
}

func (c takenOver) largeFile() {
	f, err := os.Create(outName)
	for err == nil {
		_, err = f.Write(make([]byte, 1<<20))
	}
	st, _ := f.Stat()
	c.refuse(fmt.Sprintf("wrote %v bytes: %v", st.Size() == c.FileSize, errors.Unwrap(err)))
}

// fill maps what it writes, as the linker does.
func (c takenOver) fill() {
	for n := 0; ; n++ {
		f, err := os.Create(fmt.Sprintf("f%d", n))
		if err == nil {
			err = f.Truncate(c.FileSize)
		}
		if err != nil {
			c.fail(err)
		}
		b, err := unix.Mmap(int(f.Fd()), 0, int(c.FileSize), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			c.fail(err)
		}
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
	}
}

// facts tells what a restricted child can see, as phrases.
func facts() string {
	var found []string
	tell := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	groups, _ := os.Getgroups()
	tell("own user %v and group %v, groups %v", os.Getuid() >= firstUser, os.Getgid() == os.Getuid(), groups)
	tell("environment %v", os.Environ())
	entries, err := os.ReadDir("/")
	tell("root %v %v", entries, err)
	interfaces, _ := net.Interfaces()
	for _, i := range interfaces {
		tell("interface %s up %v", i.Name, i.Flags&net.FlagUp != 0)
	}
	tell("pid %d", os.Getpid())
	tell("setuid %v", syscall.Setuid(0))
	tell("chroot %v", unix.Chroot("/"))
	var limit unix.Rlimit
	unix.Getrlimit(unix.RLIMIT_CORE, &limit)
	tell("core %d", limit.Max)
	unix.Getrlimit(unix.RLIMIT_CPU, &limit)
	tell("cpu %d", limit.Max)
	unix.Getrlimit(unix.RLIMIT_NPROC, &limit)
	tell("threads %d", limit.Max)
	var st unix.Statfs_t
	unix.Statfs("/", &st)
	tell("files %d", st.Ffree)
	return strings.Join(found, "; ")
}
