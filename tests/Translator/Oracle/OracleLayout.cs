namespace Dbt.Tests.Translator.Oracle;

/// <summary>What a test vector may do with a page of its memory.</summary>
[Flags]
internal enum OracleRights
{
    /// <summary>Read only.</summary>
    Read = 0,

    /// <summary>Readable and writable.</summary>
    Write = 1,

    /// <summary>Readable and executable.</summary>
    Execute = 2,
}

/// <summary>One mapped page of a vector's memory; pages that are not listed are absent.</summary>
/// <param name="Linear">Linear address.</param>
/// <param name="Rights">What is permitted at CPL 3.</param>
internal readonly record struct OraclePage(uint Linear, OracleRights Rights);

/// <summary>
/// The memory that a test vector sees, the same natively and in the guest:
/// <code>
/// 0FFFF000 absent   10000000 absent
/// 10001000 rw       10002000 rw        two neighbours, for operands that cross a page
/// 10003000 r        10004000 absent    writes fault half way through a crossing
/// 10005000 rw       10006000 absent
/// 10008000 rwx      10009000 rwx       the vector's code
/// 1000A000 absent
/// </code>
/// Further constants say where the harness itself lives: far from anything that a vector's registers point to.
/// </summary>
internal static class OracleLayout
{
    /// <summary>Lowest address of the vectors' memory.</summary>
    public const uint Low = 0x10000000;

    /// <summary>First of two neighbouring writable pages.</summary>
    public const uint Data = 0x10001000;

    /// <summary>The read-only page, right behind the writable ones.</summary>
    public const uint ReadOnly = 0x10003000;

    /// <summary>A writable page between two absent ones.</summary>
    public const uint Island = 0x10005000;

    /// <summary>Two pages of code, writable, an absent one behind.</summary>
    public const uint Code = 0x10008000;

    /// <summary>The mapped pages; index n of the live memory is page n of this list.</summary>
    public static readonly OraclePage[] Pages =
    [
        new(Data, OracleRights.Write),
        new(Data + 0x1000, OracleRights.Write),
        new(ReadOnly, OracleRights.Read),
        new(Island, OracleRights.Write),
        new(Code, OracleRights.Write | OracleRights.Execute),
        new(Code + 0x1000, OracleRights.Write | OracleRights.Execute),
    ];

    /// <summary>Bytes of live memory.</summary>
    public static readonly int LiveBytes = Pages.Length * 4096;

    /// <summary>Offset of the code pages in the live memory.</summary>
    public const int CodeOffset = 4 * 4096;

    /// <summary>Where the harness program is loaded.</summary>
    public const uint Harness = 0x70000000;

    /// <summary>The harness's variables.</summary>
    public const uint HarnessData = 0x70010000;

    /// <summary>Top of the harness's own stack, and bottom of the signal stack below it.</summary>
    public const uint HarnessStack = 0x70040000, SignalStack = 0x70020000;

    /// <summary>Bytes of the signal stack.</summary>
    public const uint SignalStackBytes = 0x10000;

    /// <summary>Bytes of memory of the harness program.</summary>
    public const uint HarnessBytes = 0x40000;

    /// <summary>Where the harness sees the whole shared file.</summary>
    public const uint Shared = 0x71000000;

    /// <summary>Offsets in the shared file: header, live memory, background, input slots, output records.</summary>
    public const uint Header = 0, Live = 0x1000, Background = 0x10000, Input = 0x20000, Output = 0x420000;

    /// <summary>Bytes of an input slot, and how many there are.</summary>
    public const int SlotBytes = 1024, Slots = 4096;

    /// <summary>Bytes of the shared file, and of an output record without its memory differences.</summary>
    public const int SharedBytes = 0xC20000, RecordBytes = 592;

    /// <summary>No record is begun beyond this offset: a whole record with every dword changed still fits behind it.</summary>
    public const uint OutputLimit = SharedBytes - 0x10000;

    /// <summary>Whether an address lies in what only the harness has.</summary>
    public static bool IsHarness(uint linear) =>
        linear - Harness < HarnessBytes || linear - Shared < SharedBytes;

    /// <summary>Offset in the live memory of a linear address, or -1.</summary>
    public static int LiveOffset(uint linear)
    {
        for (int i = 0; i < Pages.Length; i++)
        {
            if (linear - Pages[i].Linear < 0x1000)
            {
                return (i * 4096) + (int)(linear - Pages[i].Linear);
            }
        }

        return -1;
    }
}
