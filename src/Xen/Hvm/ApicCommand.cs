namespace Dbt.Xen.Hvm;

/// <summary>An interprocessor interrupt as the interrupt command register describes it (SDM vol. 3, 11.6.1).</summary>
/// <param name="Low">Its low word.</param>
/// <param name="Destination">Its destination: an APIC id, or a set of logical ones.</param>
internal readonly record struct ApicCommand(uint Low, uint Destination)
{
    /// <summary>Delivery modes.</summary>
    public const uint Fixed = 0, LowestPriority = 1, Nmi = 4, Init = 5, Startup = 6;

    /// <summary>Destination shorthands.</summary>
    public const uint ByDestination = 0, Self = 1, All = 2, Others = 3;

    public int Vector => (int)(Low & 0xFF);

    public uint Mode => (Low >> 8) & 7;

    public bool IsLogical => (Low & (1 << 11)) != 0;

    /// <summary>An INIT that only synchronises arbitration ids (level 0, trigger mode level): nothing happens.</summary>
    public bool IsDeassert => (Low & (1 << 14)) == 0 && (Low & (1 << 15)) != 0;

    public uint Shorthand => (Low >> 18) & 3;

    /// <summary>Whether it is for an APIC.</summary>
    public bool IsFor(LocalApic target, LocalApic sender) => Shorthand switch
    {
        Self => target == sender,
        All => true,
        Others => target != sender,
        _ => Destination == 0xFF || (IsLogical ? MatchesLogical(target) : target.Id == Destination),
    };

    private bool MatchesLogical(LocalApic target)
    {
        uint mine = target.Logical >> 24;
        return target.IsFlat
            ? (mine & Destination) != 0
            : mine >> 4 == Destination >> 4 && (mine & Destination & 0xF) != 0;
    }
}

/// <summary>What an APIC needs of its machine.</summary>
internal interface IApicBus
{
    /// <summary>System time in nanoseconds; an APIC's timer counts tens of them.</summary>
    long Now { get; }

    /// <summary>Delivers an interprocessor interrupt.</summary>
    void Send(LocalApic sender, in ApicCommand command);

    /// <summary>Makes the processor of an APIC look for interrupts. Any thread.</summary>
    void Wake(LocalApic apic);

    /// <summary>Has an action run at a system time, on the timers' thread, in place of what was set before; null turns it off.</summary>
    void SetTimer(long? deadline);
}
