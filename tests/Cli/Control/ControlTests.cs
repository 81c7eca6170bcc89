using System.Net.Sockets;
using System.Text;
using Dbt.Cli;
using Dbt.Cli.Api;
using Dbt.Cli.Commands;
using Dbt.Cli.Config;
using Dbt.Cli.Control;
using Dbt.Cli.Running;
using Dbt.Cli.Terminal;
using Dbt.Translator;

namespace Dbt.Tests.Cli.Control;

/// <summary>What is asked of a running guest from outside, over its real socket.</summary>
public sealed class ControlTests : IAsyncDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("dbt-control").FullName;
    private readonly ConsoleTranscript _output = new();
    private readonly StringWriter _errors = new();
    private readonly BlockingStream _input = new();
    private readonly ControlFolder _control;
    private readonly GuestRunner _runner;
    private readonly Task<int> _run;

    public ControlTests()
    {
        _control = ControlFolder.Open(Path.Combine(_folder, "run"));
        _runner = new GuestRunner(
            GuestConfigReader.Read(null, ["name=alpha", "memory=32", "maxmem=64", "vcpus=2"]),
            new RunOptions { Engine = EngineKind.Interpreter, Timeout = TimeSpan.FromMinutes(3), ControlPath = _control.Path },
            _output,
            TextWriter.Synchronized(_errors),
            leave => new InputPump(_input, leave));
        _run = _runner.RunAsync();
        Assert.True(SpinWait.SpinUntil(() => _output.Text.EndsWith("dbt> ", StringComparison.Ordinal) || _run.IsCompleted, TimeSpan.FromMinutes(2)), _output.Text);
    }

    public async ValueTask DisposeAsync()
    {
        _runner.Leave(ExitStatus.Failure);
        await _run;
        _runner.Dispose();
        _input.End();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task AGuestIsListedPausedChangedAndDestroyed()
    {
        using ControlClient client = await ControlClient.FindAsync(_control, "alpha");
        using (ControlClient byId = await ControlClient.FindAsync(_control, $"{Environment.ProcessId}"))
        {
            Assert.Equal("alpha", byId.Domain.Name);
        }

        Assert.Equal($"alpha                                    {Environment.ProcessId,5}    32     1     -b----  ", DomainListing.Row(client.Domain)[..^8]);
        await Do(client, (stub, id, deadline) => stub.PauseAsync(new DomainRequest { Domain = id }, deadline: deadline));
        await Do(client, (stub, id, deadline) => stub.PauseAsync(new DomainRequest { Domain = id }, deadline: deadline));
        Assert.Equal(["alpha"], (await ControlClient.AllAsync(_control, _errors)).Where(other => other.Domain.Paused).Select(other => other.Domain.Name));
        Type("echo held\n");
        await Do(client, (stub, id, deadline) => stub.UnpauseAsync(new DomainRequest { Domain = id }, deadline: deadline));
        Await("\nheld");

        await Do(client, (stub, id, deadline) => stub.SetMemoryTargetAsync(new MemoryRequest { Domain = id, Kib = 48 << 10 }, deadline: deadline));
        Domain changed = (await ControlClient.AllAsync(_control, _errors)).Single().Domain;
        Assert.Equal((48ul << 10, 64ul << 10), (changed.TargetKib, changed.MaximumKib));
        await Refused("more than its maximum of 65536 KiB", client, (stub, id, deadline) =>
            stub.SetMemoryTargetAsync(new MemoryRequest { Domain = id, Kib = 65 << 10 }, deadline: deadline));
        await Refused("less than what the guest is to have now", client, (stub, id, deadline) =>
            stub.SetMaximumMemoryAsync(new MemoryRequest { Domain = id, Kib = 40 << 10 }, deadline: deadline));
        await Do(client, (stub, id, deadline) => stub.SetMaximumMemoryAsync(new MemoryRequest { Domain = id, Kib = 80 << 10 }, deadline: deadline));
        await Do(client, (stub, id, deadline) => stub.SetMemoryTargetAsync(new MemoryRequest { Domain = id, Kib = 80 << 10 }, deadline: deadline));
        Type("xs read memory/target\n");
        Await("\n81920");

        await Do(client, (stub, id, deadline) => stub.SetVcpusAsync(new VcpusRequest { Domain = id, Count = 1 }, deadline: deadline));
        Type("xs read cpu/1/availability\n");
        Await("\noffline");
        await Refused("outside 1 to 2", client, (stub, id, deadline) => stub.SetVcpusAsync(new VcpusRequest { Domain = id, Count = 3 }, deadline: deadline));

        LogReply log = await client.CallAsync((stub, id, deadline) => stub.GetLogAsync(new DomainRequest { Domain = id }, deadline: deadline));
        Assert.Contains("built from the embedded guest", log.Lines[0], StringComparison.Ordinal);
        await Do(client, (stub, id, deadline) => stub.ShutdownAsync(new ShutdownRequest { Domain = id, What = "reboot" }, deadline: deadline));
        Type("xs read control/shutdown\n");
        Await("\nreboot");
        await Do(client, (stub, id, deadline) => stub.DestroyAsync(new DomainRequest { Domain = id }, deadline: deadline));
        Assert.Equal(ExitStatus.Failure, await _run);
        Assert.Empty(_control.Sockets());
        await Assert.ThrowsAsync<ControlException>(() => ControlClient.FindAsync(_control, "alpha"));
        Assert.Equal("", _errors.ToString());
    }

    [Fact]
    public async Task DisksComeAndGo()
    {
        string image = Path.Combine(_folder, "b.img");
        File.WriteAllBytes(image, new byte[64 << 10]);
        using ControlClient client = await ControlClient.FindAsync(_control, "alpha");
        await Do(client, (stub, id, deadline) => stub.AttachDiskAsync(new AttachDiskRequest { Domain = id, Path = image, Device = "xvdb" }, deadline: deadline));
        Type("xs read device/vbd/51728/virtual-device\n");
        Await("\n51728");
        await Refused("there is a disk xvdb already", client, (stub, id, deadline) =>
            stub.AttachDiskAsync(new AttachDiskRequest { Domain = id, Path = image, Device = "xvdb" }, deadline: deadline));
        await Refused("no full path", client, (stub, id, deadline) =>
            stub.AttachDiskAsync(new AttachDiskRequest { Domain = id, Path = "b.img", Device = "xvdc" }, deadline: deadline));
        DiskList disks = await client.CallAsync((stub, id, deadline) => stub.ListDisksAsync(new DomainRequest { Domain = id }, deadline: deadline));
        Assert.StartsWith("51728 0   51728  2     -1     -1       /local/domain/0/backend/vbd/", DomainListing.Row(Assert.Single(disks.Disks)), StringComparison.Ordinal);
        await Refused("there is no disk xvdq", client, (stub, id, deadline) =>
            stub.DetachDiskAsync(new DetachDeviceRequest { Domain = id, Device = "xvdq" }, deadline: deadline));
        NetworkList cards = await client.CallAsync((stub, id, deadline) => stub.ListNetworksAsync(new DomainRequest { Domain = id }, deadline: deadline));
        Assert.Empty(cards.Networks);
        await Do(client, (stub, id, deadline) => stub.AttachNetworkAsync(new AttachNetworkRequest { Domain = id, Card = "mac=00:16:3e:00:00:07,bridge=user" }, deadline: deadline));
        await Do(client, (stub, id, deadline) => stub.AttachNetworkAsync(new AttachNetworkRequest { Domain = id, Card = "" }, deadline: deadline));
        cards = await client.CallAsync((stub, id, deadline) => stub.ListNetworksAsync(new DomainRequest { Domain = id }, deadline: deadline));
        Assert.Equal([0u, 1u], cards.Networks.Select(card => card.Handle));
        Assert.StartsWith("0   0  00:16:3e:00:00:07      0     2     -1    -1/-1          /local/domain/0/backend/vif/", DomainListing.Row(cards.Networks[0]), StringComparison.Ordinal);
        await Refused("vif", client, (stub, id, deadline) => stub.AttachNetworkAsync(new AttachNetworkRequest { Domain = id, Card = "mac=x" }, deadline: deadline));
    }

    [Fact]
    public async Task NamesAndIdsThatAreNotThereAreToldAsXlDoes()
    {
        Assert.Equal("beta is an invalid domain identifier", (await Assert.ThrowsAsync<ControlException>(() => ControlClient.FindAsync(_control, "beta"))).Message);
        Assert.Equal("Error: Domain '4194999' does not exist.", (await Assert.ThrowsAsync<ControlException>(() => ControlClient.FindAsync(_control, "4194999"))).Message);

        // What a process that is gone left behind is removed, and doesn't count.
        string stale = Path.Combine(_control.Path, "beta.4194999.sock");
        File.WriteAllText(stale, "");
        Assert.Equal(["alpha"], (await ControlClient.AllAsync(_control, _errors)).Select(client => client.Domain.Name));
        Assert.False(File.Exists(stale));
    }

    [Fact]
    public void OnlyTheOwnersFolderIsUsed()
    {
        string path = Path.Combine(_folder, "open");
        Directory.CreateDirectory(path);
#pragma warning disable CA1416 // there is no Windows build
        File.SetUnixFileMode(path, (UnixFileMode)0b111_111_111);
        Assert.Contains("not this user's alone", Assert.Throws<IOException>(() => ControlFolder.Open(path)).Message, StringComparison.Ordinal);
        string link = Path.Combine(_folder, "link");
        File.CreateSymbolicLink(link, _control.Path);
        Assert.Throws<IOException>(() => ControlFolder.Open(link));
        Assert.Equal((UnixFileMode)0b111_000_000, File.GetUnixFileMode(_control.Path));
#pragma warning restore CA1416
        string name = Path.GetFileName(_control.SocketOf("a/b c"));
        Assert.Equal($"a_b_c.{Environment.ProcessId}.sock", name);
        Assert.True(Encoding.UTF8.GetByteCount(_control.SocketOf(new string('x', 500))) <= ControlFolder.LongestPath);
    }

    [Theory]
    [InlineData("100", 102400ul)]
    [InlineData("100m", 102400ul)]
    [InlineData("2G", 2097152ul)]
    [InlineData("4096k", 4096ul)]
    [InlineData("1048576b", 1024ul)]
    [InlineData("1t", 1073741824ul)]
    [InlineData("", null)]
    [InlineData("m", null)]
    [InlineData("-5", null)]
    [InlineData("10mm", null)]
    [InlineData("99999999999999999999", null)]
    public void SizesAreReadAsXlReadsThem(string text, ulong? expected) => Assert.Equal(expected, ResourceCommands.ParseKib(text));

    [Fact]
    public async Task ClientsBeyondTheLimitAreClosedAndTheOthersServed()
    {
        var sockets = new List<Socket>();
        try
        {
            int served = 0, closed = 0;
            for (int i = 0; i < ControlServer.MostConnections + 20; i++)
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { ReceiveTimeout = 60_000 };
                sockets.Add(socket);
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(_control.SocketOf("alpha")));
                bool answers = await Answers(socket);
                served += answers ? 1 : 0;
                closed += answers ? 0 : 1;
            }

            Assert.InRange(served, ControlServer.MostConnections - 8, ControlServer.MostConnections);
            Assert.True(closed >= 20);
        }
        finally
        {
            sockets.ForEach(static socket => socket.Dispose());
        }

        // Who comes when they have gone is served as ever.
        Assert.True(SpinWait.SpinUntil(() => ControlClient.AllAsync(_control, TextWriter.Null).GetAwaiter().GetResult().Count == 1, TimeSpan.FromSeconds(60)));
    }

    // The preface of HTTP/2 and empty settings, to which a server has its own to say.
    private static async Task<bool> Answers(Socket socket)
    {
        try
        {
            await socket.SendAsync("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u0004\0\0\0\0\0"u8.ToArray());
            return await socket.ReceiveAsync(new byte[9]).WaitAsync(TimeSpan.FromMinutes(1)) > 0;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static Task<Done> Do(ControlClient client, GuestCall.Call call) => client.CallAsync<Done>((stub, id, deadline) => call(stub, id, deadline));

    private static async Task Refused(string expected, ControlClient client, GuestCall.Call call) =>
        Assert.Contains(expected, (await Assert.ThrowsAsync<ControlException>(() => Do(client, call))).Message, StringComparison.Ordinal);

    private void Type(string line) => _input.Add(Encoding.ASCII.GetBytes(line));

    private void Await(string text) => Assert.True(
        SpinWait.SpinUntil(() => _output.Text.Contains(text, StringComparison.Ordinal), TimeSpan.FromMinutes(2)), $"'{text}' did not come, but:\n{_output.Text}");

    /// <summary>Input that is typed when the test gets to it.</summary>
    private sealed class BlockingStream : MemoryStream
    {
        private readonly System.Collections.Concurrent.BlockingCollection<byte[]> _lines = [];

        public void Add(byte[] line) => _lines.Add(line);

        public void End() => _lines.CompleteAdding();

        public override int Read(Span<byte> buffer)
        {
            if (!_lines.TryTake(out byte[]? line, Timeout.Infinite))
            {
                return 0;
            }

            line.CopyTo(buffer);
            return line.Length;
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));
    }
}
