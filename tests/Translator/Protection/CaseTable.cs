using System.Buffers.Binary;
using static Dbt.Tests.Translator.Protection.MonitorLayout;

namespace Dbt.Tests.Translator.Protection;

/// <summary>One case: what the monitor does, in which state, and how much of the outcome is written down.</summary>
internal sealed record Case(string Op)
{
    /// <summary>Routine that prepares it in ring 0.</summary>
    public string Setup { get; init; } = "nothing";

    /// <summary>Ring that it runs in.</summary>
    public int Cpl { get; init; }

    /// <summary>Flags that it starts with.</summary>
    public uint Eflags { get; init; } = 2;

    /// <summary>Registers that it starts with.</summary>
    public uint Eax { get; init; }

    /// <inheritdoc cref="Eax"/>
    public uint Ebx { get; init; }

    /// <inheritdoc cref="Eax"/>
    public uint Ecx { get; init; }

    /// <inheritdoc cref="Eax"/>
    public uint Edx { get; init; }

    /// <summary>Descriptors in the two test slots of the GDT.</summary>
    public ulong A { get; init; }

    /// <inheritdoc cref="A"/>
    public ulong B { get; init; }

    /// <summary>For the routine that prepares; also addresses of words that are written down after the case, 0 for none.</summary>
    public uint Aux0 { get; init; }

    /// <inheritdoc cref="Aux0"/>
    public uint Aux1 { get; init; }

    /// <summary>CS and SS where they aren't the ring's own.</summary>
    public ushort? Cs { get; init; }

    /// <inheritdoc cref="Cs"/>
    public ushort? Ss { get; init; }

    /// <summary>Words of the result that are written down.</summary>
    public int Words { get; init; } = 16;

    /// <summary>Bits of the error code that aren't compared with QEMU's.</summary>
    public uint IgnoreError { get; init; }

    /// <summary>Bits of EFLAGS, EAX and EBX that aren't compared with QEMU's: undefined ones, or of QEMU's devices.</summary>
    public uint IgnoreFlags { get; init; }

    /// <inheritdoc cref="IgnoreFlags"/>
    public uint IgnoreEax { get; init; }

    /// <inheritdoc cref="IgnoreFlags"/>
    public uint IgnoreEbx { get; init; }

    /// <summary>Bits of the words from memory that aren't compared with QEMU's.</summary>
    public uint IgnoreWord0 { get; init; }

    /// <inheritdoc cref="IgnoreWord0"/>
    public uint IgnoreWord1 { get; init; }

    /// <summary>A fault vector that differs from QEMU's on purpose, with the section that says so; such a case is compared with the golden text only.</summary>
    public string? Differs { get; init; }
}

/// <summary>Groups of cases, and the image that runs them.</summary>
internal sealed class CaseTable
{
    private readonly List<(string Group, List<Case> Cases)> _groups = [];

    public IReadOnlyList<(string Group, List<Case> Cases)> Groups => _groups;

    public void Add(string group, IEnumerable<Case> cases) => _groups.Add((group, [.. cases]));

    /// <summary>The image for <see cref="Image"/>, with its entry point.</summary>
    public byte[] Build(MonitorProgram program, out uint entry)
    {
        Case[] cases = [.. _groups.SelectMany(g => g.Cases)];
        var image = new byte[Records - Image + ((uint)cases.Length * RecordLength)];
        program.Assemble(image, (uint)cases.Length, out entry, out Dictionary<string, uint> places);
        for (int i = 0; i < cases.Length; i++)
        {
            Case c = cases[i];
            Span<byte> record = image.AsSpan((int)(Records - Image) + (i * RecordLength), RecordLength);
            void Put(Span<byte> at, int offset, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(at[offset..], value);
            bool virtual8086 = (c.Eflags & 0x20000) != 0;
            Put(record, Op, places[c.Op] - (virtual8086 ? 0xFFFF0u : 0));
            Put(record, Setup, places[c.Setup]);
            Put(record, Cs, c.Cs ?? (virtual8086 ? (ushort)0xFFFF : CodeOf(c.Cpl)));
            Put(record, Ss, c.Ss ?? (virtual8086 ? (ushort)0x1000 : DataOf(c.Cpl)));
            Put(record, Eflags, c.Eflags);
            Put(record, Eax, c.Eax);
            Put(record, Ebx, c.Ebx);
            Put(record, Ecx, c.Ecx);
            Put(record, Edx, c.Edx);
            BinaryPrimitives.WriteUInt64LittleEndian(record[DescriptorA..], c.A);
            BinaryPrimitives.WriteUInt64LittleEndian(record[DescriptorB..], c.B);
            Put(record, Length, (uint)c.Words * 4);
            Put(record, Aux0, c.Aux0);
            Put(record, Aux1, c.Aux1);
        }

        return image;
    }
}
