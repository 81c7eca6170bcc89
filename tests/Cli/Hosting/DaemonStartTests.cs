using System.Net.Sockets;
using Dbt.Cli.Hosting;

namespace Dbt.Tests.Cli.Hosting;

/// <summary>The daemon's own beginning and end.</summary>
public sealed class DaemonStartTests : IDisposable
{
    private readonly DaemonFolder _daemon = new();

    public void Dispose() => _daemon.Dispose();

    [Fact]
    public async Task SeveralThatStartItAtATimeGetOne()
    {
        string[] names = [.. Enumerable.Range(0, 6).Select(i => $"g{i}")];
        (int Status, string Output, string Errors)[] ends = await Task.WhenAll(names.Select(name => Task.Run(() => _daemon.Run("create", $"name={name}", "memory=16"))));
        Assert.All(ends, end => Assert.Equal((0, "", ""), end));
        Assert.Equal(names, _daemon.List().Select(row => row.Name));
        Assert.Single(_daemon.Log.Split('\n'), line => line.Contains("the daemon runs", StringComparison.Ordinal));
        Assert.Contains($"process {DaemonLock.ReadOwner(_daemon.Lock)}, 6 domains", _daemon.Do("info"), StringComparison.Ordinal);
        Assert.StartsWith("dbt: a daemon runs already", _daemon.Refused("daemon", "--foreground"), StringComparison.Ordinal);
        Assert.StartsWith($"daemon {DaemonLock.ReadOwner(_daemon.Lock)}, log ", _daemon.Do("daemon"), StringComparison.Ordinal);
    }

    [Fact]
    public void WhatADaemonThatWasKilledLeftIsNoHindrance()
    {
        _daemon.Do("create", "name=lost", "memory=16");
        int killed = int.Parse(DaemonLock.ReadOwner(_daemon.Lock), null);
        using (var process = System.Diagnostics.Process.GetProcessById(killed))
        {
            process.Kill();
            process.WaitForExit();
        }

        Assert.True(File.Exists(_daemon.Socket));
        Assert.Empty(_daemon.List());
        Assert.Equal("lost is an invalid domain identifier\n", _daemon.Refused("domid", "lost"));
        _daemon.Do("create", "name=new", "memory=16");
        Assert.Equal(["new"], _daemon.List().Select(row => row.Name));
        Assert.NotEqual(killed, int.Parse(DaemonLock.ReadOwner(_daemon.Lock), null));

        // Anything else in its place neither.
        _daemon.Do("daemon", "stop", "-f");
        File.WriteAllText(_daemon.Socket, "no socket");
        Assert.Empty(_daemon.List());
        _daemon.Do("create", "name=newer", "memory=16");
        Assert.Equal(["newer"], _daemon.List().Select(row => row.Name));
    }

#pragma warning disable CA1416 // there is no Windows build
    [Fact]
    public void OnlyItsOwnerReachesIt()
    {
        _daemon.Do("daemon");
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_daemon.Socket));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_daemon.Lock));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(Path.GetDirectoryName(_daemon.Socket)!));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(_daemon.Path, "dbt", "dbtd.log")));
        _daemon.Do("daemon", "stop");
        File.SetUnixFileMode(Path.GetDirectoryName(_daemon.Socket)!, (UnixFileMode)0b111_111_111);
        Assert.Contains("is not this user's alone", _daemon.Refused("create", "memory=16"), StringComparison.Ordinal);
        File.SetUnixFileMode(Path.GetDirectoryName(_daemon.Socket)!, (UnixFileMode)0b111_000_000);
    }
#pragma warning restore CA1416

    [Fact]
    public void ItEndsByItselfAfterItsLastDomain()
    {
        _daemon.Do("daemon", "--idle", "0.1");
        _daemon.AwaitEnd();
        Assert.False(File.Exists(_daemon.Socket));
        Assert.Contains("the daemon ends", _daemon.Log, StringComparison.Ordinal);

        // A domain keeps it.
        _daemon.Do("daemon", "--idle", "5");
        _daemon.Do("create", "name=short", "memory=16");
        using (DaemonFolder.RunningCommand console = _daemon.Start("console", "short"))
        {
            console.Await("dbt> ");
            console.Type("halt\n");
            Assert.Equal(0, console.End());
        }

        _daemon.AwaitEnd();
        Assert.Empty(_daemon.List());
    }

    [Fact]
    public async Task OneInTheForegroundLogsToStandardErrorAndEndsBySignal()
    {
        using System.Diagnostics.Process process = CommandProcess.Start(_daemon.Path, _daemon.Path, ["daemon", "--foreground"]);
        DaemonFolder.Await(() => Connects(_daemon.Socket) || process.HasExited, () => "it does not listen");
        _daemon.Do("create", "name=x", "memory=16");
        Task<string> errors = process.StandardError.ReadToEndAsync();
        Assert.Equal(0, CommandProcess.Signal(process.Id, 15));
        Assert.True(process.WaitForExit(60_000));
        Assert.Equal(0, process.ExitCode);
        Assert.Contains("x is domain 1", await errors, StringComparison.Ordinal);
        Assert.Contains("domains are destroyed", await errors, StringComparison.Ordinal);
        Assert.False(File.Exists(_daemon.Socket));
    }

    private static bool Connects(string path)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(path));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
