using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Dbt.Cli.Bench;
using Dbt.Cli.Guests;
using Dbt.Perf.Boot;

namespace Dbt.Perf.Migration;

/// <summary>
/// <c>migrate N</c>: a Linux guest goes to and fro between two daemons of this host, N times: for how long it was held, by the source's clock, and the
/// largest step of the clock that a program in the guest saw meanwhile.
/// </summary>
internal static partial class MigrationCommand
{
    private const string Name = "moving";
    private const int Port = 5000;

    // By then the probe has said what it saw in the second of the move.
    private static readonly TimeSpan s_told = TimeSpan.FromSeconds(1.5);

    /// <summary>Runs it.</summary>
    /// <returns>An exit status.</returns>
    public static int Run(string[] words)
    {
        var times = new Argument<int>("N") { Description = "How often it goes", DefaultValueFactory = _ => 100 };
        var kernel = new Option<string?>("--kernel") { Description = "A PVH kernel; without it that of dbt guest fetch debian" };
        var memory = new Option<int>("--memory") { Description = "MiB", DefaultValueFactory = _ => 512 };
        var dirty = new Option<int>("--dirty") { Description = "MiB that the guest writes over and over meanwhile, some 60 MiB a second, and checks; it powers itself off where they are not what it wrote", DefaultValueFactory = _ => 0 };
        var stream = new Option<bool>("--stream") { Description = "With the disk and a network card of dbt guest fetch debian, and a stream of TCP to a peer in another network namespace. Needs root" };
        var peer = new Option<string?>("--peer") { Description = "Be that peer", Hidden = true };
        var dbt = new Option<string?>("--dbt") { Description = "The command; by default the script of the tree that this was built from" };
        var root = new RootCommand("Measures the pause of live migrations between two daemons.") { times, kernel, memory, dirty, stream, peer, dbt };
        root.SetAction(result =>
        {
            if (result.GetValue(peer) is { } address)
            {
                MigrationPeer.Run(address);
                return;
            }

            using MigrationNetwork? network = result.GetValue(stream) ? new MigrationNetwork() : null;
            Measure(
                result.GetValue(dbt) ?? BootCommand.FindScript(), result.GetValue(kernel) ?? Path.Combine(GuestStore.Default.FetchedFolder("debian"), GuestStore.Kernel),
                result.GetValue(times), result.GetValue(memory), result.GetValue(dirty), network);
        });
        try
        {
            return root.Parse(words).Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
        }
        catch (BootFailure failure)
        {
            Console.Error.WriteLine($"perf: {failure.Message}");
            return 1;
        }
    }

    private static void Measure(string dbt, string kernel, int times, int memory, int dirty, MigrationNetwork? network)
    {
        if (!File.Exists(kernel))
        {
            throw new BootFailure($"{kernel} is not there: dbt guest fetch debian, or --kernel FILE");
        }

        string folder = Directory.CreateTempSubdirectory("dbt-migrate").FullName;
        MigrationHost[] hosts = [.. Enumerable.Range(0, 2).Select(i => new MigrationHost(
            [.. network?.OnHost(i) ?? [], dbt], Path.Combine(folder, i == 0 ? "a" : "b"), network is null ? "127.0.0.1" : MigrationNetwork.HostAddress(i)))];
        Process? peer = null;
        try
        {
            if (network is null)
            {
                CreateAlone(hosts[0], folder, kernel, memory, dirty);
            }
            else
            {
                CreateConnected(hosts[0], folder, kernel, memory, dirty);
                peer = network.StartPeer(Port);
            }

            Console.WriteLine(Text($"{memory} MiB, {(dirty == 0 ? "idle but for the probe" : Text($"{dirty} MiB written over and over"))}; steps of the clock seen at rest, each within a second: {string.Join(", ", hosts[0].Steps(Name, 5).Select(Milliseconds))}"));
            if (peer is not null)
            {
                _ = Ask(peer);
                _ = hosts[0].Steps(Name, 2);
                Console.WriteLine(Text($"longest pause between arrivals at the peer at rest: {Milliseconds(Ask(peer).Longest)}"));
            }

            var held = new List<double>();
            var steps = new List<double>();
            var pauses = new List<double>();
            long bytes = 0;
            for (int i = 0; i < times; i++)
            {
                (MigrationHost from, MigrationHost to) = i % 2 == 0 ? (hosts[0], hosts[1]) : (hosts[1], hosts[0]);
                _ = peer is null ? default : Ask(peer);
                Match told = Held().Match(from.Do("migrate", Name, to.Address));
                held.Add(double.Parse(told.Groups[1].Value, CultureInfo.InvariantCulture));

                // The first step that is told there has the pause in it. It is kept for who looks at the console later: a process that starts takes the guest's processor time.
                Thread.Sleep(s_told);
                steps.Add(to.Steps(Name, 1)[0] / 1000.0);
                if (peer is not null)
                {
                    (int longest, long now) = Ask(peer);
                    bytes = now != bytes ? now : throw new BootFailure(Text($"the stream stands still after {i + 1} migrations and {now} bytes"));
                    pauses.Add(longest / 1000.0);
                }

                if (i % 10 == 9)
                {
                    Tell(Text($"after {i + 1}: held"), held);
                }
            }

            Tell("held, by the source's clock", held);
            Tell("largest step of the guest's clock", steps);
            if (peer is not null)
            {
                Tell("longest pause between arrivals at the peer", pauses);
                Console.WriteLine(Text($"{bytes} bytes came, each as it should be"));
            }
        }
        finally
        {
            peer?.Kill();
            peer?.Dispose();
            Array.ForEach(hosts, static host => host.Dispose());
            Directory.Delete(folder, recursive: true);
        }
    }

    // Nothing but the kernel and the probe.
    private static void CreateAlone(MigrationHost host, string folder, string kernel, int memory, int dirty)
    {
        string ramdisk = Path.Combine(folder, "initramfs");
        var archive = new CpioArchive();
        archive.AddDirectory("dev");
        archive.AddCharacterDevice("dev/console", 5, 1);
        const int executable = 0x1ED;
        archive.AddFile("init", File.ReadAllBytes(Probe(folder)), executable);
        File.WriteAllBytes(ramdisk, archive.ToArray());
        host.Do("create", "-q", $"name={Name}", $"memory={memory}", $"kernel={kernel}", $"ramdisk={ramdisk}",
            $"cmdline=console=hvc0 quiet mitigations=off noisapnp cryptomgr.notests -- gap {dirty}");
    }

    // Debian with its root on a disk, and a card.
    private static void CreateConnected(MigrationHost host, string folder, string kernel, int memory, int dirty)
    {
        string image = Path.Combine(folder, "root.img"), fetched = GuestStore.Default.FetchedFolder("debian");
        File.Copy(Path.Combine(fetched, GuestStore.Disk), image);
        Run("debugfs", "-w", "-R", $"write {Probe(folder)} /root/probe", image);
        host.Do("create", "-q", $"name={Name}", $"memory={memory}", $"kernel={kernel}", $"ramdisk={Path.Combine(fetched, GuestStore.Ramdisk)}",
            "cmdline=root=/dev/xvda console=hvc0 quiet mitigations=off noisapnp cryptomgr.notests", $"disk=['{image},raw,xvda,w']", $"vif=['bridge=tap:{MigrationNetwork.Tap}']");
        host.Type(Name,
            Text($"\nnetwork-wait; killall udhcpc; ifconfig eth0 {MigrationNetwork.GuestAddress} netmask 255.255.255.0 up; chmod 755 /root/probe; /root/probe stream {Port} & until netstat -ltn | grep -q :{Port}; do :; done; echo set $((6*7))\n"),
            "set 42");
        host.Type(Name, Text($"/root/probe gap {dirty}\n"), ".");
    }

    private static (int Longest, long Bytes) Ask(Process peer)
    {
        peer.StandardInput.WriteLine();
        string[] words = (peer.StandardOutput.ReadLine() ?? throw new BootFailure("the peer has ended: see what it said")).Split(' ');
        return (int.Parse(words[0], CultureInfo.InvariantCulture), long.Parse(words[1], CultureInfo.InvariantCulture));
    }

    private static string Probe(string folder)
    {
        string program = Path.Combine(folder, "probe");
        Run("gcc", "-m32", "-O2", "-static", "-nostdlib", "-ffreestanding", "-fno-pic", "-fno-stack-protector",
            "-fno-asynchronous-unwind-tables", "-Wl,--build-id=none", "-s", "-o", program, Path.Combine(AppContext.BaseDirectory, "Migration", "probe.c"));
        return program;
    }

    private static void Run(string program, params string[] words)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, words) { RedirectStandardError = true, RedirectStandardOutput = true })
            ?? throw new BootFailure($"{program} can't be started; install gcc with its 32-bit support (gcc-multilib), and e2fsprogs.");
        string errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0)
        {
            throw new BootFailure($"{program}: {errors.Trim()}: gcc's 32-bit support (gcc-multilib) and e2fsprogs are needed.");
        }
    }

    private static void Tell(string what, List<double> milliseconds)
    {
        double[] sorted = [.. milliseconds.Order()];
        double high = sorted[Math.Min(sorted.Length - 1, (int)Math.Ceiling(sorted.Length * 0.99) - 1)];
        Console.WriteLine(Text($"{what}: median {Statistics.Median(sorted):F1} ms, 99 of 100 within {high:F1} ms, least {sorted[0]:F1}, most {sorted[^1]:F1} ({sorted.Length} times)"));
    }

    private static string Milliseconds(int microseconds) => Text($"{microseconds / 1000.0:F1} ms");

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    [GeneratedRegex(@"it was held for ([\d.]+) ms")]
    private static partial Regex Held();
}
