using Dbt.Translator.Memory;
using Dbt.Xen.Memory;
using static Dbt.Tests.Xen.Memory.MemoryFixture;

namespace Dbt.Tests.Xen.Memory;

public sealed class GuestAccessTests : IDisposable
{
    private readonly MemoryFixture _f = new();

    public void Dispose() => _f.Dispose();

    [Fact]
    public void CopiesCrossPages()
    {
        byte[] sent = [.. Enumerable.Range(0, 9000).Select(i => (byte)(i * 7))];
        Assert.True(GuestAccess.TryWrite(_f.Vcpu, 0x1FFF, sent));
        var received = new byte[9000];
        Assert.True(GuestAccess.TryRead(_f.Vcpu, 0x1FFF, received));
        Assert.Equal(sent, received);
        _f.Put(0x2FFD, 0x1122334455667788);
        Assert.Equal(0x1122334455667788, _f.Get<long>(0x2FFD));
        Assert.Equal(0x11, _f.Get<byte>(0x3004));
    }

    [Theory]
    [InlineData(0xF5800000u, 1)]
    [InlineData(0xF57FFFFFu, 2)]
    [InlineData(0xFFFFFFFFu, 1)]
    [InlineData(0xFFFFFFFFu, 8)]
    [InlineData(0x40000000u, 4)]
    [InlineData(0x3FFFEu, 4)]
    public void NothingBeyondTheGuestIsReached(uint linear, int length)
    {
        Assert.False(GuestAccess.TryRead(_f.Vcpu, linear, new byte[length]));
        Assert.False(GuestAccess.TryWrite(_f.Vcpu, linear, new byte[length]));
        Assert.False(GuestAccess.TryRead(_f.Vcpu, linear, out ulong _));
        Assert.True(GuestAccess.TryRead(_f.Vcpu, linear, []) == (linear <= 0xF5800000));
    }

    [Fact]
    public void ReadOnlyPagesAreNotWrittenAndUserPagesAre()
    {
        Assert.Equal(0, _f.UpdateVa(0x5000, Entry(_f.Pages[5], P | U)));
        Assert.False(GuestAccess.TryWrite(_f.Vcpu, 0x5000, 1));
        Assert.True(GuestAccess.TryRead(_f.Vcpu, 0x5000, out int _));
        Assert.Equal(0, _f.UpdateVa(0x5000, Entry(_f.L1, P)));
        Assert.False(GuestAccess.TryWrite(_f.Vcpu, 0x5000, 1));
    }

    [Fact]
    public void AWriteToCodeIsAnnounced()
    {
        var told = new List<(uint, int, int)>();
        var code = _f.Vcpu.CodeMap;
        code.CodeWritten += (frame, offset, length) => told.Add((frame, offset, length));
        code.Mark(_f.Pages[5], hasCode: true);
        _f.Memory.ProtectCode(_f.Pages[5]);
        _f.Put(0x5010, 0x12345678);
        _f.Put(0x6010, 0x12345678);
        Assert.Equal([(_f.Pages[5], 0x10, 4)], told);
        Assert.False(_f.InTlb(0x5000, MemoryAccess.Write));
    }

    [Fact]
    public unsafe void AWriteToCodeIsAnnouncedToItsOwnersProcessorsAlone()
    {
        var other = new MemoryFixture(_f.Hypervisor);
        int own = 0, others = 0;
        _f.Vcpu.CodeMap.CodeWritten += (_, _, _) => own++;
        other.Vcpu.CodeMap.CodeWritten += (_, _, _) => others++;
        _f.Vcpu.CodeMap.Hold(_f.Pages[5]);
        Assert.True(other.Vcpu.CodeMap.HasCode(_f.Pages[5]));

        // Whoever writes, by whichever map.
        byte* host = _f.Hypervisor.Machine.Frame(_f.Pages[5]);
        _f.Hypervisor.Machine.CodeMap.Written(host, 1);
        other.Vcpu.CodeMap.Written(host, 1);
        Assert.Equal((2, 0), (own, others));
        _f.Vcpu.CodeMap.Release(_f.Pages[5]);
        _f.Hypervisor.Machine.CodeMap.Written(host, 1);
        Assert.Equal((2, 0), (own, others));
    }

    [Theory]
    [InlineData(0u, 0xF5800000u, 1u, true)]
    [InlineData(0u, 0xF5800001u, 1u, false)]
    [InlineData(0xF5800000u, 0u, 16u, true)]
    [InlineData(0x10000000u, 0x10000000u, 16u, false)]
    [InlineData(0xFFFFFFFFu, 1u, 1u, false)]
    public void RangesDoNotOverflow(uint linear, uint count, uint size, bool inside) =>
        Assert.Equal(inside, GuestAccess.IsInRange(_f.Vcpu, linear, count, size));
}
