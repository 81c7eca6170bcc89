using System.Diagnostics;
using System.Text;
using Dbt.Cli.Guests;
using Dbt.Tests.Xen.Builder;

namespace Dbt.Tests.Packages;

/// <summary>Debian's own kernel with its modules for disks and ext4, a script of ours as its init, in a process of its own that can be killed.</summary>
internal sealed class DiskGuest : IDisposable
{
    private readonly Process _process;
    private readonly StringBuilder _seen = new();

    /// <param name="folder">Where to put what the guest boots from.</param>
    /// <param name="script">What busybox' shell does, disks and file systems being there; the guest powers off behind it.</param>
    /// <param name="disks">Elements of disk=.</param>
    public DiskGuest(string folder, string script, params string[] disks)
    {
        string ramdisk = Path.Combine(folder, "initramfs");
        File.WriteAllBytes(ramdisk, Ramdisk(script));
        string list = string.Join(',', disks.Select(static disk => $"'{disk}'"));
        _process = Process.Start(new ProcessStartInfo("dotnet",
            [typeof(Dbt.Cli.CommandLine).Assembly.Location, "run", "--engine", "interpreter", "--timeout", "300", "name=disks", "memory=96",
                $"kernel={DebianFiles.PathOf(DebianFiles.Kernel)}", $"ramdisk={ramdisk}", $"disk=[{list}]",
                "cmdline=console=hvc0 quiet mitigations=off noisapnp cryptomgr.notests"])
        {
            RedirectStandardOutput = true,
            RedirectStandardInput = true,
            RedirectStandardError = true,
        })!;
        _process.ErrorDataReceived += (_, line) => Remember(line.Data);
        _process.BeginErrorReadLine();
    }

    /// <summary>What these guests need; see <see cref="RequiresPackageFactAttribute"/>.</summary>
    public const string Kernel = DebianFiles.Kernel, Busybox = DebianFiles.Busybox;

    /// <summary>Everything that was read so far.</summary>
    public string Seen
    {
        get
        {
            lock (_seen)
            {
                return _seen.ToString();
            }
        }
    }

    /// <summary>Makes an image with an empty ext4 in it.</summary>
    public static void MakeFileSystem(string image, int mebibytes)
    {
        using (FileStream file = File.Create(image))
        {
            file.SetLength((long)mebibytes << 20);
        }

        Assert.Equal((0, ""), Run("mke2fs", "-q", "-F", "-t", "ext4", image));
    }

    /// <summary>Runs a program of the host to its end.</summary>
    public static (int Status, string Errors) Run(string program, params string[] words)
    {
        using Process process = Process.Start(new ProcessStartInfo(Tool.Find(program)!, words) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        string errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, errors + (process.ExitCode == 0 ? "" : output.Result));
    }

    /// <summary>The next line of the console; null at the end.</summary>
    public string? ReadLine()
    {
        string? line = _process.StandardOutput.ReadLine()?.TrimEnd('\r');
        Remember(line);
        return line;
    }

    /// <summary>Reads up to a line that starts with a text.</summary>
    /// <returns>What follows that text in its line.</returns>
    public string WaitFor(string start)
    {
        while (ReadLine() is string line)
        {
            if (line.StartsWith(start, StringComparison.Ordinal))
            {
                return line[start.Length..];
            }
        }

        Assert.Fail($"the guest ended without saying '{start}':\n{Seen}");
        return "";
    }

    /// <summary>Ends the hypervisor with SIGKILL.</summary>
    public void Kill()
    {
        _process.Kill();
        _process.WaitForExit();
    }

    /// <summary>Waits for the guest's end.</summary>
    /// <returns>The exit status.</returns>
    public int WaitForEnd()
    {
        while (ReadLine() is not null)
        {
        }

        _process.WaitForExit();
        return _process.ExitCode;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!_process.HasExited)
        {
            Kill();
        }

        _process.Dispose();
    }

    private static byte[] Ramdisk(string script)
    {
        string kernel = DebianFiles.PathOf(Kernel);
        string version = Path.GetFileName(kernel)["vmlinuz-".Length..];
        string folder = Path.Combine(Path.GetDirectoryName(kernel)!, "..", "lib", "modules", version, "kernel");
        const int executable = 0x1ED;
        var archive = new CpioArchive();
        foreach (string name in new[] { "proc", "sys", "dev", "mnt" })
        {
            archive.AddDirectory(name);
        }

        archive.AddFile("bin/busybox", File.ReadAllBytes(DebianFiles.PathOf(Busybox)), executable);
        archive.AddLink("bin/sh", "busybox");
        var load = new StringBuilder();
        var tree = new ModuleTree(folder);
        foreach (KernelModule module in tree.Closure(["xen-blkfront", "ext4"]))
        {
            archive.AddFile($"lib/{module.Name}.ko", module.Slim(), executable);
            load.Append("insmod /lib/").Append(module.Name).Append(".ko\n");
        }

        string init = "#!/bin/sh\nb=/bin/busybox\n$b mount -t proc proc /proc\n$b mount -t sysfs sys /sys\n$b mount -t devtmpfs dev /dev\n$b --install -s /bin\n"
            + load + script + "\npoweroff -f\n";
        archive.AddFile("init", Encoding.ASCII.GetBytes(init.Replace("\r", "", StringComparison.Ordinal)), executable);
        return archive.ToArray();
    }

    private void Remember(string? line)
    {
        lock (_seen)
        {
            _seen.AppendLine(line);
        }
    }
}
