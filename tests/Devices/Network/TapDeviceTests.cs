using System.Buffers.Binary;
using Dbt.Devices.Network;
using Dbt.Devices.Network.Offload;
using Dbt.Devices.Network.Tap;
using Dbt.Runtime;

namespace Dbt.Tests.Devices.Network;

/// <summary>TAP devices of this machine, in a network namespace of their own.</summary>
public sealed class TapDeviceTests
{
    [RequiresTapFact]
    public void TheHostPingsWhatIsPluggedIn()
    {
        using var space = new HostNamespace();
        using TapDevice tap = TapDevice.Open("dbttest%d");
        Assert.StartsWith("dbttest", tap.Name, StringComparison.Ordinal);
        using var guest = new Responder(tap);
        tap.Connect(guest);
        space.Take(tap.Name, "10.99.7.1/24");

        // With a time limit it goes on until so many have come: on a busy host one may be too late to be counted.
        (int status, string output) = space.Inside("ping", "-c", "3", "-w", "30", "-i", "0.01", "-s", "1400", "10.99.7.2");
        Assert.True(status == 0, output);
        Assert.Contains("3 received", output, StringComparison.Ordinal);
        Assert.True(guest.Echoes >= 3, output);
    }

    [RequiresTapFact]
    public void TheHostDoesWhatIsLeftUndone()
    {
        // A large UDP checksum-blank frame and a TCP frame to be cut: the kernel counts what it can't make sense of.
        using var space = new HostNamespace();
        using TapDevice tap = TapDevice.Open("dbttest%d");
        using var guest = new Responder(tap);
        tap.Connect(guest);
        space.Take(tap.Name, "10.0.0.2/24");
        MacAddress host = MacOf(space, tap.Name);
        byte[] udp = TestFrames.Transport(100, tcp: false, blank: true);
        byte[] tcp = TestFrames.Transport(30_000, blank: true);
        host.Write(udp);
        host.Write(tcp);
        Assert.True(tap.Send(udp, new FrameOffload(true, true)));
        Assert.True(tap.Send(tcp, new FrameOffload(true, true, SegmentationKind.TcpV4, 1448)));

        // Nobody listens there: an ICMP error for the first, a reset for the second, both with right checksums.
        Assert.True(SpinWait.SpinUntil(() => guest.Unreachables == 1 && guest.Resets > 0, TimeSpan.FromSeconds(30)), $"{guest.Unreachables} {guest.Resets}");
        Assert.Equal(0, tap.Dropped);

        // What isn't what it says is dropped.
        Assert.True(tap.Send(TestFrames.Plain(host, TestFrames.A), new FrameOffload(true)));
        Assert.Equal(1, tap.Dropped);
    }

    [RequiresTapFact]
    public void WhoHasNoRoomGetsItLater()
    {
        using var space = new HostNamespace();
        using TapDevice tap = TapDevice.Open("dbttest%d");
        var guest = new FakeCable { Room = 0 };
        tap.Connect(guest);
        space.Take(tap.Name, "10.99.7.1/24");
        Task<(int, string)> ping = Task.Run(() => space.Inside("ping", "-c", "1", "-W", "1", "10.99.7.2"));
        ping.Wait();
        Assert.Empty(guest.Frames);
        guest.Room = int.MaxValue;
        NetDriver.Queue.Until(() => guest.Frames.Any(static frame => frame.Frame[12] == 8 && frame.Frame[13] == 6), "no ARP request came");
    }

    [RequiresTapFact]
    public void AnInterfaceThatIsRemovedIsSilent()
    {
        using TapDevice tap = TapDevice.Open("dbttest%d");
        var guest = new FakeCable();
        tap.Connect(guest);
        HostNamespace.Ip("link", "del", tap.Name);
        Assert.True(tap.Send(TestFrames.Plain(TestFrames.B, TestFrames.A), default));
        Assert.Equal(1, tap.Dropped);
    }

    [RequiresTapFact]
    public void ADeviceInUseSaysSo()
    {
        using TapDevice tap = TapDevice.Open("dbttest%d");
        Assert.Contains("in use", Assert.Throws<HostException>(() => TapDevice.Open(tap.Name)).Message, StringComparison.Ordinal);
        Assert.Contains("no TAP device", Assert.Throws<HostException>(() => TapDevice.Open("lo")).Message, StringComparison.Ordinal);
        Assert.Contains("no name", Assert.Throws<HostException>(() => TapDevice.Open("a/b")).Message, StringComparison.Ordinal);
    }

    private static MacAddress MacOf(HostNamespace space, string device)
    {
        string[] words = space.Inside("cat", $"/sys/class/net/{device}/address").Output.Split('\n');
        return TestFrames.Mac(words[0].Trim());
    }

    /// <summary>A guest at 10.99.7.2 and 10.0.0.1 that answers ARP and pings, and counts what else comes.</summary>
    private sealed class Responder(INetworkEnd host) : INetworkEnd, IDisposable
    {
        private volatile bool _stopped;

        public event Action? RoomAvailable
        {
            add { }
            remove { }
        }

        public LinkFeatures Features => default;

        public int Echoes { get; private set; }

        public int Unreachables { get; private set; }

        public int Resets { get; private set; }

        public void Dispose() => _stopped = true;

        public bool Send(ReadOnlySpan<byte> frame, FrameOffload offload)
        {
            if (_stopped)
            {
                return true;
            }

            byte[] reply = frame.ToArray();
            frame.Slice(6, 6).CopyTo(reply);
            TestFrames.A.Write(reply.AsSpan(6));
            if (frame[12] == 8 && frame[13] == 6 && frame[21] == 1)
            {
                // ARP: who is 10.99.7.2 or 10.0.0.1? We are.
                reply[21] = 2;
                TestFrames.A.Write(reply.AsSpan(22));
                frame.Slice(38, 4).CopyTo(reply.AsSpan(28));
                frame.Slice(22, 10).CopyTo(reply.AsSpan(32));
                host.Send(reply, default);
            }
            else if (frame[12] == 8 && frame[13] == 0 && frame[23] == 1)
            {
                Assert.Equal(0xFFFF, InternetChecksum.Sum(frame[34..]));
                if (frame[34] == 3)
                {
                    Unreachables++;
                    return true;
                }

                Echoes++;
                frame.Slice(26, 4).CopyTo(reply.AsSpan(30));
                frame.Slice(30, 4).CopyTo(reply.AsSpan(26));
                reply[34] = 0;
                BinaryPrimitives.WriteUInt16BigEndian(reply.AsSpan(36), 0);
                BinaryPrimitives.WriteUInt16BigEndian(reply.AsSpan(36), (ushort)~InternetChecksum.Sum(reply.AsSpan(34)));
                host.Send(reply, default);
            }
            else if (frame[12] == 8 && frame[13] == 0 && frame[23] == 6)
            {
                Assert.True(TestFrames.IsRight(frame[..(14 + BinaryPrimitives.ReadUInt16BigEndian(frame[16..]))]));
                Assert.Equal(4, frame[47] & 4);
                Resets++;
            }

            return true;
        }
    }
}
