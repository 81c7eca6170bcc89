using System.Buffers.Binary;
using Dbt.Devices.Network.Frontend;

namespace Dbt.Tests.Devices.Network;

/// <summary>The control ring: the guest's own choice of queues by Toeplitz's hash.</summary>
public sealed class ControlRingTests : IDisposable
{
    // The key and the vectors of Microsoft's "Verifying the RSS hash calculation".
    private static readonly byte[] Key = Convert.FromHexString(
        "6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa");

    private const uint Success = 0, NotSupported = 1, Invalid = 2, Overflow = 3;
    private readonly NetDriver _driver = new();

    public void Dispose() => _driver.Dispose();

    [Theory]
    [InlineData("66.9.149.187", 2794, "161.142.100.80", 1766, 0x323e8fc2u, 0x51ccc178u)]
    [InlineData("199.92.111.2", 14230, "65.69.140.83", 4739, 0xd718262au, 0xc626b0eau)]
    [InlineData("24.19.198.95", 12898, "12.22.207.184", 38024, 0xd2d0a5deu, 0x5c2b394au)]
    [InlineData("3ffe:2501:200:1fff::7", 2794, "3ffe:2501:200:3::1", 1766, 0x2cc18cd5u, 0x40207d3du)]
    public void TheHashIsTheKnownOne(string source, int sourcePort, string destination, int destinationPort, uint narrow, uint wide)
    {
        byte[] from = System.Net.IPAddress.Parse(source).GetAddressBytes(), to = System.Net.IPAddress.Parse(destination).GetAddressBytes();

        byte[] input = [.. from, .. to, (byte)(sourcePort >> 8), (byte)sourcePort, (byte)(destinationPort >> 8), (byte)destinationPort];
        Assert.Equal(narrow, Toeplitz.Hash(Key, input.AsSpan(0, input.Length - 4)));
        Assert.Equal(wide, Toeplitz.Hash(Key, input));

        // And what goes into it is taken from the right places of a frame.
        byte[] frame = TestFrames.Transport(10, v6: from.Length == 16);
        int ip = from.Length == 16 ? 22 : 26;
        from.CopyTo(frame, ip);
        to.CopyTo(frame, ip + from.Length);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(ip + (2 * from.Length)), (ushort)sourcePort);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(ip + (2 * from.Length) + 2), (ushort)destinationPort);
        var taken = new byte[36];
        Assert.Equal(input.Length, Toeplitz.Input(frame, 15, out HashType type, taken));
        Assert.Equal(input, taken[..input.Length]);
        Assert.Equal(from.Length == 16 ? HashType.V6Tcp : HashType.V4Tcp, type);
    }

    [Fact]
    public void TheGuestSteersFlows()
    {
        _driver.Connect(queues: 2, control: true);
        Assert.Equal("4", _driver.State);
        Assert.Equal((NotSupported, 0u), _driver.Request(1));
        Assert.Equal((NotSupported, 0u), _driver.Request(2, 15));
        Assert.Equal((Success, 0u), _driver.Request(7, 1));
        Assert.Equal((Success, 15u), _driver.Request(1));
        Assert.Equal((Success, 0u), _driver.Request(2, 15));
        Assert.Equal((Success, 0u), _driver.Request(3, _driver.Grant(Key).Reference, 40));
        Assert.Equal((Success, 128u), _driver.Request(4));
        Assert.Equal((Success, 0u), _driver.Request(5, 4));
        var table = new byte[16];
        table[12] = 1; // hash 3 modulo 4 goes to queue 1, the others to 0
        Assert.Equal((Success, 0u), _driver.Request(6, _driver.Grant(table).Reference, 4, 0));

        _driver.Queues.ForEach(queue => _driver.Post(queue, 100));
        byte[] frame = TestFrames.Transport(10);
        for (ushort port = 0; port < 32; port++)
        {
            BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(34), port);
            uint hash = Toeplitz.Hash(Key, frame.AsSpan(26, 12));
            NetDriver.Queue queue = _driver.Queues[hash % 4 == 3 ? 1 : 0];
            Assert.Equal(0, queue.Received);
            Assert.True(_driver.Backend.Send(frame, default));

            // The guest gets the hash too.
            Assert.Equal(2, queue.Received);
            Assert.Equal(8, queue.Take()[4]);
            byte[] extra = queue.Take();
            Assert.Equal([4, 0, 1, 1], extra[..4]);
            Assert.Equal(hash, BinaryPrimitives.ReadUInt32LittleEndian(extra.AsSpan(4)));
        }

        // What can't be hashed goes by entry 0, without a hash.
        _driver.Backend.Send(TestFrames.Plain(TestFrames.A, TestFrames.B), default);
        Assert.Equal((1, 0), (_driver.Queues[0].Received, _driver.Queues[1].Received));
    }

    [Fact]
    public void WhatMakesNoSenseIsRefused()
    {
        _driver.Connect(queues: 2, control: true);
        uint page = _driver.Grant().Reference;
        var high = new byte[8];
        high[4] = 2; // there is no queue 2
        uint bad = _driver.Grant(high).Reference;
        foreach ((ushort type, uint first, uint second, uint third, uint status) in (ReadOnlySpan<(ushort, uint, uint, uint, uint)>)[
            (0, 0, 0, 0, NotSupported), (8, 0, 0, 0, NotSupported), (9, 0, page, 1, NotSupported), (11, 0, 0, 0, NotSupported), (65535, 0, 0, 0, NotSupported),
            (7, 2, 0, 0, Invalid), (7, 0x100, 0, 0, Invalid), (7, 1, 0, 0, Success), (2, 16, 0, 0, Invalid), (2, 0xFFFF_FFFF, 0, 0, Invalid),
            (3, page, 41, 0, Overflow), (3, page, 0xFFFF_FFFF, 0, Overflow), (3, 9999, 40, 0, Invalid), (3, 9999, 0, 0, Success),
            (5, 129, 0, 0, Invalid), (5, 0xFFFF_FFFF, 0, 0, Invalid), (6, page, 1, 0, Invalid), (5, 8, 0, 0, Success),
            (6, page, 9, 0, Invalid), (6, page, 1, 8, Invalid), (6, page, 2, 7, Invalid), (6, page, 0xFFFF_FFFF, 2, Invalid), (6, page, 2, 0xFFFF_FFFF, Invalid),
            (6, 9999, 1, 0, Invalid), (6, bad, 2, 0, Invalid), (6, page, 8, 0, Success), (6, page, 0, 8, Success)])
        {
            Assert.Equal((type, first, second, third, status), (type, first, second, third, _driver.Request(type, first, second, third).Status));
        }

        _driver.Control![0] += 129;
        _driver.Frontend.Signals[_driver.ControlPort]();
        Assert.Contains("control ring", _driver.WaitClosed(), StringComparison.Ordinal);
    }

    [Fact]
    public void AnotherFrontendStartsAnew()
    {
        _driver.Connect(queues: 2, control: true);
        _driver.Request(7, 1);
        _driver.Request(2, 15);
        Assert.Equal(15u, _driver.Backend.Steering.Types);
        _driver.Guest.Write(NetDriver.Front + "/state", "1");
        Assert.Equal(HashAlgorithm.None, _driver.Backend.Steering.Algorithm);
    }
}
