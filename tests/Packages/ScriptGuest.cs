using System.Diagnostics;
using System.Text;
using Dbt.Cli.Guests;

namespace Dbt.Tests.Packages;

/// <summary>Debian's own kernel with some of its modules, a script of ours as its init, in a process of its own that can be killed.</summary>
internal class ScriptGuest : IDisposable
{
    private readonly Process _process;
    private readonly StringBuilder _seen = new();

    /// <param name="folder">Where to put what the guest boots from.</param>
    /// <param name="script">What busybox' shell does, the modules being there; the guest powers off behind it.</param>
    /// <param name="modules">Names of the kernel's modules; what they depend on comes with them.</param>
    /// <param name="settings">Words of the command line behind <c>dbt run</c>.</param>
    /// <param name="timeout">Seconds that the guest has.</param>
    public ScriptGuest(string folder, string script, IEnumerable<string> modules, IEnumerable<string> settings, int timeout = 300)
    {
        string ramdisk = Path.Combine(folder, "initramfs");
        File.WriteAllBytes(ramdisk, Ramdisk(script, modules));
        _process = Process.Start(new ProcessStartInfo("dotnet",
            [typeof(Dbt.Cli.CommandLine).Assembly.Location, "run", "--timeout", $"{timeout}", $"kernel={DebianFiles.PathOf(DebianFiles.Kernel)}", $"ramdisk={ramdisk}",
                "cmdline=console=hvc0 quiet mitigations=off noisapnp cryptomgr.notests", .. settings])
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

    /// <summary>Types a line.</summary>
    public void WriteLine(string line)
    {
        _process.StandardInput.WriteLine(line);
        _process.StandardInput.Flush();
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
        GC.SuppressFinalize(this);
    }

    /// <summary>An initramfs with a script behind the modules.</summary>
    /// <param name="script">What busybox' shell does.</param>
    /// <param name="modules">Names of the kernel's modules; what they depend on comes with them.</param>
    /// <param name="diskParameters">Parameters of the disk driver.</param>
    public static byte[] Ramdisk(string script, IEnumerable<string> modules, string diskParameters = "")
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
        foreach (KernelModule module in tree.Closure(modules))
        {
            archive.AddFile($"lib/{module.Name}.ko", module.Slim(), executable);
            load.Append("insmod /lib/").Append(module.Name).Append(".ko ").Append(module.Name == "xen_blkfront" ? diskParameters : "").Append('\n');
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
