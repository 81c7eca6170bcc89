using Dbt.Xen;
using Dbt.Xen.Memory;
using static Dbt.Tests.Xen.Memory.MemoryFixture;
using static Dbt.Xen.Abi.Errno;

namespace Dbt.Tests.Xen.Memory;

/// <summary>A second processor that is in guest code, played by a thread of the test.</summary>
public sealed class GracePeriodTests : IDisposable
{
    private readonly MemoryFixture _f = new();
    private readonly Vcpu _second;

    public GracePeriodTests()
    {
        _second = new Vcpu(_f.Domain, 1);
        _f.Domain.Vcpus.Add(_second);
        Assert.Equal(0, _f.Memory.SwitchBase(_second, _f.L3));
        _second.Return();
    }

    public void Dispose()
    {
        _second.Leave();
        _f.Dispose();
    }

    [Fact]
    public void Xsa401APageUnmappedKeepsItsTypeWhileAnotherProcessorMayWriteIt()
    {
        uint page = _f.Pages[9];
        Assert.Equal(0, _f.UpdateVa(0x9000, 0));
        Assert.Equal((2u, 1u), (_f.References(page), _f.TypeCount(page)));
        PassOnce();
        Assert.Equal((1u, 0u), (_f.References(page), _f.TypeCount(page)));
    }

    [Fact]
    public void ATypeChangeWaitsForTheOtherProcessor()
    {
        Assert.Equal(0, _f.UpdateVa(0x9000, 0));
        using var running = new PassingProcessor(_second);
        Assert.Equal(0, _f.Pin(_f.Pages[9], PageType.L1));
        Assert.True(running.Passed > 0);
    }

    [Fact]
    public void AGivenBackPageIsFreedOnlyThen()
    {
        uint page = _f.Pages[9];
        Assert.Equal(0, _f.UpdateVa(0x9000, 0));
        Assert.True(_f.Memory.TryReleasePage(page));
        Assert.True(_f.Memory.Owns(page));
        PassOnce();
        Assert.False(_f.Memory.Owns(page));
    }

    [Fact]
    public void AFullReservationWaitsForPagesOnTheirWay()
    {
        _f.Memory.MaxPages = _f.Memory.PageCount;
        Assert.Equal(0, _f.UpdateVa(0x9000, 0));
        Assert.True(_f.Memory.TryReleasePage(_f.Pages[9]));
        using var running = new PassingProcessor(_second);
        Assert.True(_f.Memory.TryAddPage(out _));
    }

    [Fact]
    public void AnExchangeWaitsToo()
    {
        Assert.Equal(0, _f.UpdateVa(0x9000, 0));
        using var running = new PassingProcessor(_second);
        Assert.True(_f.Memory.TrySteal(_f.Pages[9]));
    }

    [Fact]
    public void AProcessorThatIsOutsideIsNotWaitedFor()
    {
        Assert.Equal(0, _f.UpdateVa(0x9000, 0));
        _second.Leave();
        Assert.Equal(0, _f.Pin(_f.Pages[9], PageType.L1));
        Assert.Equal(0, _f.UpdateVa(0x8000, 0));
        Assert.Equal((1u, 0u), (_f.References(_f.Pages[8]), _f.TypeCount(_f.Pages[8])));
    }

    [Fact]
    public void AFailureThatHasAnotherReasonStaysOne()
    {
        Assert.Equal(0, _f.UpdateVa(0x9000, 0));
        using var running = new PassingProcessor(_second);
        Assert.Equal(-EINVAL, _f.Pin(_f.Pages[7], PageType.L1));
    }

    [Fact]
    public void TheEndOfTheDomainGivesEverythingBack()
    {
        uint page = _f.Pages[9];
        Assert.Equal(0, _f.UpdateVa(0x9000, 0));
        _f.Domain.Dispose();
        Assert.Equal(0u, _f.Info(page).References);
    }

    // What is kept is looked at with every page-table update: the first notes where the processors are, the next that one has moved on.
    private void PassOnce()
    {
        Assert.Equal(0, _f.UpdateVa(0x8000, Entry(_f.Pages[8], P | W)));
        _second.PassSafePoint();
        Assert.Equal(0, _f.UpdateVa(0x8000, Entry(_f.Pages[8], P | W)));
    }

    private sealed class PassingProcessor : IDisposable
    {
        private readonly Thread _thread;
        private bool _stop;

        public PassingProcessor(Vcpu vcpu)
        {
            _thread = new Thread(() =>
            {
                while (!Volatile.Read(ref _stop))
                {
                    vcpu.PassSafePoint();
                    Passed++;
                    Thread.Sleep(1);
                }
            });
            _thread.Start();
        }

        public int Passed { get; private set; }

        public void Dispose()
        {
            Volatile.Write(ref _stop, true);
            _thread.Join();
        }
    }
}
