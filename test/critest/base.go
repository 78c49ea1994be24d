// SPDX-License-Identifier: Apache-2.0

package critest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"strings"
)

// Users and groups that the tests name.
const (
	passwd = `root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
`
	group = `root:x:0:
daemon:x:1:
wheel:x:10:root
www-data:x:33:
nogroup:x:65534:
`
	definedUser  = "default-user:x:1000:1000::/home:/bin/sh\n"
	definedGroup = "default-user:x:1000:\ngroup-defined-in-image:x:50000:default-user\n"
)

// What the tests call and Debian's busybox lacks.
var scripts = map[string]string{
	"ipcs":  "#!/bin/sh\nexec cat /proc/sysvipc/shm\n",
	"pgrep": "#!/bin/sh\nexec pidof \"$1\"\n",
}

// base is an image's content with a shell and its tools: the busybox at the given
// path, which has to be one for this machine, with the libraries that it needs.
// One that runs its applets without looking in PATH does not do: a test masks the
// file of one. So applets are hard links, too.
func base(ctx context.Context, busybox string) (tree, error) {
	t := tree{
		"tmp/":       {mode: 0o1777},
		"root/":      {mode: 0o700},
		"home/":      {mode: 0o755},
		"var/":       {mode: 0o755},
		"etc/":       {mode: 0o755},
		"bin/":       {mode: 0o755},
		"proc/":      {mode: 0o755},
		"sys/":       {mode: 0o755},
		"dev/":       {mode: 0o755},
		"usr/":       {mode: 0o755},
		"etc/passwd": {mode: 0o644, content: []byte(passwd)},
		"etc/group":  {mode: 0o644, content: []byte(group)},
		// Servers put their pid there, and may be anybody.
		"var/run/":  {mode: 0o1777},
		"usr/sbin/": {mode: 0o755},
	}
	libraries, err := librariesOf(ctx, busybox)
	if err != nil {
		return nil, err
	}
	for name, source := range libraries {
		if err := t.add(name, source); err != nil {
			return nil, err
		}
	}
	if err := t.add("bin/busybox", busybox); err != nil {
		return nil, err
	}
	applets, err := exec.CommandContext(ctx, busybox, "--list").Output()
	if err != nil {
		return nil, fmt.Errorf("listing the applets of %s: %w", busybox, err)
	}
	for applet := range strings.FieldsSeq(string(applets)) {
		if applet != "busybox" {
			t["bin/"+applet] = file{mode: 0o755, link: "bin/busybox"}
		}
	}
	for name, script := range scripts {
		t["bin/"+name] = file{mode: 0o755, content: []byte(script)}
	}
	return t, nil
}

// add puts the file source of this machine into the tree, and the directories that it
// is in.
func (t tree) add(name, source string) error {
	content, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	t[name] = file{mode: 0o755, content: content}
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if _, ok := t[dir+"/"]; !ok {
			t[dir+"/"] = file{mode: 0o755}
		}
	}
	return nil
}

// librariesOf are the shared libraries of a program and its loader, by the path in a
// tree where it looks for them.
func librariesOf(ctx context.Context, program string) (map[string]string, error) {
	out, err := exec.CommandContext(ctx, "ldd", program).Output()
	if err != nil {
		return nil, fmt.Errorf("the libraries of %s: %w", program, err)
	}
	found := map[string]string{}
	for field := range strings.FieldsSeq(string(out)) {
		if name, ok := strings.CutPrefix(field, "/"); ok {
			found[name] = field
		}
	}
	return found, nil
}
