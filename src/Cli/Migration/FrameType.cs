namespace Dbt.Cli.Migration;

/// <summary>What a frame holds. The messages are those of Api/migration.proto.</summary>
internal enum FrameType : byte
{
    /// <summary>Source: a message of that name.</summary>
    Hello = 1,

    /// <summary>Target: a message of that name.</summary>
    Welcome = 2,

    /// <summary>Source: a message of that name.</summary>
    Offer = 3,

    /// <summary>Target: a message of that name.</summary>
    Ready = 4,

    /// <summary>Source: pages, see <see cref="PageBatch"/>.</summary>
    Pages = 5,

    /// <summary>Both: a message of that name.</summary>
    RoundEnd = 6,

    /// <summary>Source: a part of the state, as many as it takes.</summary>
    State = 7,

    /// <summary>Source: a message of that name.</summary>
    Final = 8,

    /// <summary>Target: a message of that name.</summary>
    Committed = 9,

    /// <summary>Both: a message of that name.</summary>
    Refused = 10,

    /// <summary>Target: a message of that name.</summary>
    Answer = 11,

    /// <summary>Source: which code the guest runs, a section; see <see cref="Xen.Snapshot.HotCodeList"/>.</summary>
    HotCode = 12,
}
