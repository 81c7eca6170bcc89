using System.Diagnostics;
using Dbt.Devices.Network;
using Dbt.Devices.Network.Frontend;
using Dbt.Devices.Network.Tap;

namespace Dbt.Tests.Devices.Network;

/// <summary>Addresses, allowances, and the header of a TAP device's frames.</summary>
public sealed class SmallPartsTests
{
    [Fact]
    public void AddressesAreReadAndWritten()
    {
        Assert.True(MacAddress.TryParse("00:16:3E:1a:2B:ff", out MacAddress mac));
        Assert.Equal(0x0016_3E1A_2BFFUL, mac.Value);
        Assert.Equal("00:16:3e:1a:2b:ff", mac.ToString());
        Assert.True(MacAddress.TryParse("0-16-3e-1a-2b-ff", out MacAddress other) && other == mac);
        var bytes = new byte[6];
        mac.Write(bytes);
        Assert.Equal([0, 0x16, 0x3E, 0x1A, 0x2B, 0xFF], bytes);
        Assert.Equal(mac, MacAddress.Read(bytes));
        Assert.False(mac.IsMulticast);
        Assert.True(MacAddress.Broadcast.IsMulticast);
        foreach (string bad in (string[])["", "00:16:3e:1a:2b", "00:16:3e:1a:2b:ff:00", "00:16:3e:1a:2b:1ff", "00:16:3e:1a:2b:", "00:16:3e:1a:2b:gg", "+0:16:3e:1a:2b:01"])
        {
            Assert.False(MacAddress.TryParse(bad, out _), bad);
        }
    }

    [Fact]
    public void AnAddressOfAUuidIsAlwaysTheSame()
    {
        var uuid = Guid.Parse("01234567-89ab-cdef-0123-456789abcdef");
        MacAddress mac = MacAddress.FromUuid(uuid, 0);
        Assert.Equal(mac, MacAddress.FromUuid(uuid, 0));
        Assert.NotEqual(mac, MacAddress.FromUuid(uuid, 1));
        foreach (MacAddress address in (MacAddress[])[mac, MacAddress.Random()])
        {
            Assert.Equal(0x00163Eu, address.Value >> 24);
            Assert.Equal(0u, address.Value >> 23 & 1);
        }
    }

    [Fact]
    public void AnAllowanceIsRefilledEachInterval()
    {
        long now = 1000;
        var bucket = new TokenBucket(new NetworkRate(1000, TimeSpan.FromSeconds(1)), () => now);
        Assert.Null(bucket.Take(600));
        now += Stopwatch.Frequency / 4;
        TimeSpan? wait = bucket.Take(600);
        Assert.NotNull(wait);
        Assert.Equal(0.75, wait.Value.TotalSeconds, 3);
        Assert.Null(bucket.Take(400));
        now += Stopwatch.Frequency * 3 / 4;

        // A frame above the allowance goes when that is full.
        Assert.Null(bucket.Take(5000));
        Assert.NotNull(bucket.Take(1));
        now += Stopwatch.Frequency * 10;
        Assert.Null(bucket.Take(1000));
        Assert.NotNull(bucket.Take(1));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void TheHeaderOfATapFrameSaysWhatIsUndone(bool v6)
    {
        byte[] frame = TestFrames.Transport(5000, v6, blank: true);
        var offload = new FrameOffload(true, true, v6 ? SegmentationKind.TcpV6 : SegmentationKind.TcpV4, 1448);
        var header = new byte[10];
        Assert.True(VirtioHeader.TryWrite(header, frame, offload));
        int transport = v6 ? 54 : 34;
        Assert.Equal([1, v6 ? (byte)4 : (byte)1, (byte)(transport + 32), 0, 0xA8, 5, (byte)transport, 0, 16, 0], header);
        Assert.True(VirtioHeader.TryRead(header, out FrameOffload read));
        Assert.Equal(offload, read);

        Assert.True(VirtioHeader.TryWrite(header, frame, new FrameOffload(true)));
        Assert.Equal([1, 0, 0, 0, 0, 0, (byte)transport, 0, 16, 0], header);
        Assert.True(VirtioHeader.TryWrite(header, frame, new FrameOffload(DataValidated: true)));
        Assert.Equal(2, header[0]);
        Assert.True(VirtioHeader.TryRead(header, out read) && read == new FrameOffload(DataValidated: true));
        Assert.False(VirtioHeader.TryWrite(header, TestFrames.Plain(TestFrames.A, TestFrames.B), offload));
        foreach (byte[] bad in (byte[][])[[1, 3, 0, 0, 9, 9, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 9, 9, 0, 0, 0, 0]])
        {
            Assert.False(VirtioHeader.TryRead(bad, out _));
        }
    }

    [Fact]
    public void NamesOfBackends()
    {
        Assert.Null(NetworkBackends.Find("user"));
        Assert.Null(NetworkBackends.Find("tap:"));
        Assert.Null(NetworkBackends.Find("tap:a/b"));
        Assert.Null(NetworkBackends.Find("tap:sixteencharacter"));
        Assert.NotNull(NetworkBackends.Find("tap:tap0"));
        Assert.NotNull(NetworkBackends.Find("xenbr0"));
    }
}
