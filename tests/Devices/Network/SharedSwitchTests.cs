using System.Net.Sockets;
using Dbt.Devices.Network;
using Dbt.Devices.Network.Switch;
using Dbt.Runtime;

namespace Dbt.Tests.Devices.Network;

/// <summary>A switch by name over real sockets, as several processes have it.</summary>
[System.Runtime.Versioning.UnsupportedOSPlatform("windows")]
public sealed class SharedSwitchTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("dbt-sw").FullName;
    private readonly List<SharedSwitchPort> _ports = [];

    private string Folder => Path.Combine(_root, "switch", "net0");

    public void Dispose()
    {
        _ports.ForEach(static port => port.Dispose());
        Assert.False(Directory.Exists(Folder), "a port left its socket behind");
        Directory.Delete(_root, recursive: true);
    }

    [Fact]
    public void GuestsMeetByName()
    {
        (SharedSwitchPort first, FakeCable a) = Join();
        (SharedSwitchPort second, FakeCable b) = Join();
        (_, FakeCable c) = Join();
        byte[] broadcast = TestFrames.Plain(MacAddress.Broadcast, TestFrames.A);
        Assert.True(first.Send(broadcast, default));
        Assert.Equal(broadcast, b.Take().Frame);
        Assert.Equal(broadcast, c.Take().Frame);

        // b knows where a is: c doesn't get this one, nor what a answers.
        byte[] reply = TestFrames.Plain(TestFrames.A, TestFrames.B);
        second.Send(reply, default);
        Assert.Equal(reply, a.Take().Frame);
        byte[] large = TestFrames.Transport(65_450, blank: true);
        var offload = new FrameOffload(true, true, SegmentationKind.TcpV4, 1448);
        first.Send(large, offload);
        (byte[] got, FrameOffload told) = b.Take();
        Assert.Equal(large, got);
        Assert.Equal(offload, told);

        // Something for all behind it: had the others come, they would be before.
        first.Send(broadcast, default);
        Assert.Equal(broadcast, c.Take().Frame);
        Assert.Empty(a.Frames);
    }

    [Fact]
    public void OnlyItsUserMayJoin()
    {
        Join();
        const UnixFileMode owner = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        Assert.Equal(owner | UnixFileMode.UserExecute, File.GetUnixFileMode(Folder));
        Assert.Equal(owner, File.GetUnixFileMode(Directory.EnumerateFiles(Folder).Single()));
        File.SetUnixFileMode(Path.Combine(_root, "switch"), owner | UnixFileMode.UserExecute | UnixFileMode.OtherWrite);
        Assert.Contains("alone", Assert.Throws<HostException>(() => SharedSwitchPort.Open("net0", _root)).Message, StringComparison.Ordinal);
        File.SetUnixFileMode(Path.Combine(_root, "switch"), owner | UnixFileMode.UserExecute);
        Directory.CreateSymbolicLink(Path.Combine(_root, "switch", "other"), "/tmp");
        Assert.Contains("alone", Assert.Throws<HostException>(() => SharedSwitchPort.Open("other", _root)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("..")]
    [InlineData("a/b")]
    [InlineData("a b")]
    [InlineData("-x")]
    [InlineData("a23456789012345678901234567890123")]
    public void ANameIsAName(string name)
    {
        Assert.Throws<HostException>(() => SharedSwitchPort.Open(name, _root));
        Assert.Null(NetworkBackends.Find(name));
    }

    [Fact]
    public void WhoWasKilledIsForgotten()
    {
        // A socket that nobody listens to, as kill -9 leaves it.
        (SharedSwitchPort first, _) = Join();
        string stale = Path.Combine(Folder, "0123456789abcdef");
        using (var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified))
        {
            socket.Bind(new UnixDomainSocketEndPoint(stale));
            File.Move(stale, stale + ".kept"); // .NET removes the file it bound
        }

        File.Move(stale + ".kept", stale);
        first.Send(TestFrames.Plain(MacAddress.Broadcast, TestFrames.A), default);
        Assert.False(File.Exists(stale));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void WhoLeftIsForgotten(bool connected)
    {
        (SharedSwitchPort first, FakeCable a) = Join();
        (SharedSwitchPort second, FakeCable b) = Join();
        second.Send(TestFrames.Plain(MacAddress.Broadcast, TestFrames.B), default);
        a.Take();
        if (connected)
        {
            first.Send(TestFrames.Plain(TestFrames.B, TestFrames.A), default);
            b.Take();
        }

        second.Dispose();
        (_, FakeCable c) = Join();

        // It was known, but isn't there: the frame goes to all.
        first.Send(TestFrames.Plain(TestFrames.B, TestFrames.A, 70), default);
        Assert.Equal(70, c.Take().Frame.Length);
    }

    [Fact]
    public void ASlowGuestStallsNobody()
    {
        (SharedSwitchPort first, _) = Join();
        (SharedSwitchPort second, FakeCable slow) = Join();
        (_, FakeCable quick) = Join();
        second.Send(TestFrames.Plain(MacAddress.Broadcast, TestFrames.B), default);
        quick.Take();
        slow.Room = 0;
        for (int i = 0; i < 3000; i++)
        {
            Assert.True(first.Send(TestFrames.Plain(MacAddress.Broadcast, TestFrames.A, 60 + (i % 50)), default));
            Assert.Equal(60 + (i % 50), quick.Take().Frame.Length);
        }

        Assert.InRange(first.Dropped, 1, 3000);
        long dropped = first.Dropped;
        slow.Room = int.MaxValue;
        for (int i = 0; i < 3000 - dropped; i++)
        {
            Assert.Equal(60 + (i % 50), slow.Take().Frame.Length);
        }

        Assert.Equal(dropped, first.Dropped);
    }

    [Fact]
    public void AFolderThatIsRemovedStallsNobody()
    {
        (SharedSwitchPort first, _) = Join();
        (SharedSwitchPort second, FakeCable b) = Join();
        second.Send(TestFrames.Plain(MacAddress.Broadcast, TestFrames.B), default);
        first.Send(TestFrames.Plain(MacAddress.Broadcast, TestFrames.A), default);
        b.Take();
        Directory.Delete(Folder, recursive: true);
        Assert.True(first.Send(TestFrames.Plain(MacAddress.Broadcast, TestFrames.A), default));

        // A port that comes makes it anew.
        (_, FakeCable c) = Join();
        first.Send(TestFrames.Plain(MacAddress.Broadcast, TestFrames.A, 70), default);
        Assert.Equal(70, c.Take().Frame.Length);
    }

    [Fact]
    public void WhatIsNoneOfOursIsIgnored()
    {
        (SharedSwitchPort first, FakeCable a) = Join();
        using var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        socket.Connect(new UnixDomainSocketEndPoint(Directory.EnumerateFiles(Folder).Single()));
        var random = new Random(1);
        for (int i = 0; i < 200; i++)
        {
            var message = new byte[random.Next(1, 100)];
            random.NextBytes(message);
            socket.Send(message);
        }

        socket.Send(new byte[0]);
        (SharedSwitchPort second, _) = Join();
        second.Send(TestFrames.Plain(MacAddress.Broadcast, TestFrames.B, 77), default);
        Assert.Equal(77, a.Take().Frame.Length);
        Assert.Empty(a.Frames);
        Assert.Equal(0, first.Dropped);
    }

    [Fact]
    public void AMessageKeepsWhatIsUndone()
    {
        var message = new byte[16 + 60];
        var offload = new FrameOffload(true, false, SegmentationKind.TcpV6, 999);
        SwitchMessage.Write(message, 0x1234_5678_9ABC_DEF0, offload);
        Assert.True(SwitchMessage.TryRead(message, out ulong port, out FrameOffload read));
        Assert.Equal((0x1234_5678_9ABC_DEF0UL, offload), (port, read));
        Assert.False(SwitchMessage.TryRead(message.AsSpan(0, 29), out _, out _));
        message[5] = 3;
        Assert.False(SwitchMessage.TryRead(message, out _, out _));
        message[5] = 1;
        message[6] = message[7] = 0;
        Assert.False(SwitchMessage.TryRead(message, out _, out _));
    }

    private (SharedSwitchPort Port, FakeCable Guest) Join()
    {
        SharedSwitchPort port = SharedSwitchPort.Open("net0", _root);
        var guest = new FakeCable();
        port.Connect(guest);
        _ports.Add(port);
        return (port, guest);
    }
}
