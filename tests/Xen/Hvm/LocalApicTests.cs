using Dbt.Xen.Hvm;

namespace Dbt.Tests.Xen.Hvm;

/// <summary>The local APIC's registers (SDM vol. 3, chapter 11), on a bus that the test is.</summary>
public sealed class LocalApicTests : IApicBus
{
    private const uint Id = 0x20, Version = 0x30, TaskPriority = 0x80, ProcessorPriority = 0xA0, Eoi = 0xB0, Logical = 0xD0, Format = 0xE0,
        Spurious = 0xF0, InService = 0x100, Request = 0x200, ErrorStatus = 0x280, CommandLow = 0x300, CommandHigh = 0x310, TimerEntry = 0x320,
        InitialCount = 0x380, CurrentCount = 0x390, Divide = 0x3E0;

    private readonly LocalApic _apic;
    private readonly List<ApicCommand> _sent = [];
    private long? _deadline;
    private int _wakes;

    public LocalApicTests()
    {
        _apic = new LocalApic(6, this);
        _apic.Write(Spurious, 0x1FF);
    }

    public long Now { get; private set; } = 1000;

    void IApicBus.Send(LocalApic sender, in ApicCommand command) => _sent.Add(command);

    void IApicBus.Wake(LocalApic apic) => _wakes++;

    void IApicBus.SetTimer(long? deadline) => _deadline = deadline;

    [Fact]
    public void ItTellsWhoItIs()
    {
        Assert.Equal((6u << 24, 0x00050014u), (_apic.Read(Id), _apic.Read(Version)));
        _apic.Write(Id, 0);
        Assert.Equal(6u << 24, _apic.Read(Id));
    }

    [Fact]
    public void TheHighestVectorComesFirstAndHoldsOffItsClass()
    {
        _apic.Accept(0x41);
        _apic.Accept(0x52);
        Assert.Equal(0x52, _apic.Acknowledge());
        _apic.Accept(0x51);
        Assert.Equal(-1, _apic.Pending()); // same class
        Assert.Equal(0x50u, _apic.Read(ProcessorPriority));
        _apic.Accept(0x61);
        Assert.Equal(0x61, _apic.Acknowledge());
        _apic.Write(Eoi, 0);
        Assert.Equal(-1, _apic.Pending());
        _apic.Write(Eoi, 0);
        Assert.Equal(0x51, _apic.Acknowledge());
        _apic.Write(Eoi, 0);
        Assert.Equal(0x41, _apic.Acknowledge());
        Assert.Equal(1u << 1, _apic.Read(InService + 0x20));
        _apic.Write(Eoi, 0);
        Assert.Equal((0u, -1), (_apic.Read(InService + 0x20), _apic.Acknowledge()));
    }

    [Fact]
    public void TaskPriorityAndTheSwitchHoldInterruptsOff()
    {
        _apic.Accept(0x41);
        _apic.Write(TaskPriority, 0x4F);
        Assert.Equal(-1, _apic.Pending());
        Assert.Equal(1u << 1, _apic.Read(Request + 0x20));
        _apic.Write(TaskPriority, 0x3F);
        Assert.Equal(0x41, _apic.Pending());
        _apic.Write(Spurious, 0xFF);
        Assert.Equal(-1, _apic.Pending());
        _apic.Accept(3); // an exception's number: no interrupt
        Assert.Equal(0u, _apic.Read(Request));
    }

    [Theory]
    [InlineData(0x000000FDu, 6u, true)]
    [InlineData(0x000000FDu, 4u, false)]
    [InlineData(0x000000FDu, 0xFFu, true)]
    [InlineData(0x000008FDu, 0x42u, true)]
    [InlineData(0x000008FDu, 0xBDu, false)]
    [InlineData(0x000400FDu, 0u, true)]
    [InlineData(0x000800FDu, 0u, true)]
    [InlineData(0x000C00FDu, 6u, false)]
    public void ACommandFindsItsDestination(uint low, uint destination, bool isForSender)
    {
        _apic.Write(Logical, 0x02000000);
        _apic.Write(Format, 0xFFFFFFFF);
        _apic.Write(CommandHigh, destination << 24);
        _apic.Write(CommandLow, low | (1 << 14));
        Assert.Equal(isForSender, Assert.Single(_sent).IsFor(_apic, _apic));
        Assert.Equal(0xFD, _sent[0].Vector);
        Assert.Equal(low | (1 << 14), _apic.Read(CommandLow));
    }

    [Fact]
    public void ClusterDestinationsNeedClusterAndMember()
    {
        _apic.Write(Format, 0x0FFFFFFF);
        _apic.Write(Logical, 0x24000000);
        Assert.True(new ApicCommand(0x8FD, 0x26).IsFor(_apic, _apic));
        Assert.False(new ApicCommand(0x8FD, 0x22).IsFor(_apic, _apic));
        Assert.False(new ApicCommand(0x8FD, 0x34).IsFor(_apic, _apic));
    }

    [Fact]
    public void AnIllegalVectorIsAnErrorAndGoesNowhere()
    {
        _apic.Write(CommandLow, 0x4000 | 5);
        Assert.Empty(_sent);
        Assert.Equal(0u, _apic.Read(ErrorStatus));
        _apic.Write(ErrorStatus, 0);
        Assert.Equal(1u << 5, _apic.Read(ErrorStatus));
    }

    [Fact]
    public void TheTimerFiresOnce()
    {
        _apic.Write(TimerEntry, 0xEC);
        _apic.Write(Divide, 3); // by 16
        _apic.Write(InitialCount, 1000);
        Assert.Equal(1000 + (1000 * 16 * 10), _deadline);
        Now = 1000 + (250 * 160);
        Assert.Equal(750u, _apic.Read(CurrentCount));
        _apic.Timer.Elapsed(); // too early
        Assert.Equal((-1, 0), (_apic.Pending(), _wakes));
        Now = _deadline!.Value;
        _apic.Timer.Elapsed();
        Assert.Equal((0xEC, 1, 0u), (_apic.Acknowledge(), _wakes, _apic.Read(CurrentCount)));
        _apic.Timer.Elapsed();
        Assert.Equal(1, _wakes);
    }

    [Fact]
    public void ThePeriodicTimerGoesOnAndSkipsWhatIsLate()
    {
        _apic.Write(TimerEntry, 0xEC | (1 << 17));
        _apic.Write(Divide, 0xB); // by 1
        _apic.Write(InitialCount, 100_000);
        Now = 1000 + (1_000_000 * 5);
        _apic.Timer.Elapsed();
        Assert.Equal((1, Now), (_wakes, _deadline));
        Now = _deadline!.Value;
        _apic.Timer.Elapsed();
        Assert.Equal((2, Now + 1_000_000), (_wakes, _deadline));
        _apic.Write(InitialCount, 0);
        Assert.Null(_deadline);
    }

    [Fact]
    public void AMaskedTimerFiresNothing()
    {
        _apic.Write(TimerEntry, 0xEC | (1 << 16));
        _apic.Write(InitialCount, 100);
        Now = _deadline!.Value;
        _apic.Timer.Elapsed();
        Assert.Equal((-1, 0), (_apic.Pending(), _wakes));
    }
}
