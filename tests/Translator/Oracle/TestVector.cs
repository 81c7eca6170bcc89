using System.Text;
using Dbt.Translator.State;
using Iced.Intel;
using Decoder = Iced.Intel.Decoder;

namespace Dbt.Tests.Translator.Oracle;

/// <summary>One test: code, and the processor's state before it. The memory's contents belong to the batch.</summary>
internal sealed class TestVector
{
    /// <summary>Most bytes of code.</summary>
    public const int MaxCode = 448;

    /// <summary>EAX to EDI before the code, in encoding order.</summary>
    public uint[] Gpr { get; init; } = new uint[8];

    /// <summary>EFLAGS before the code (status flags, DF, AC, NT, ID; the rest is as Linux has it).</summary>
    public uint Eflags { get; set; } = Flags.Fixed | Flags.If;

    /// <summary>The instructions' bytes, one entry per instruction, without the INT3 that memory holds behind them.</summary>
    public List<byte[]> Code { get; init; } = [];

    /// <summary>Offset of the first byte from <see cref="OracleLayout.Code"/>.</summary>
    public int CodeStart { get; private init; }

    /// <summary>DS, ES, FS, GS, CS, SS before the code.</summary>
    public ushort[] Selectors { get; init; } = [.. Usual];

    /// <summary>What the segment registers mostly hold: Linux's flat segments, and two of the thread's in FS and GS.</summary>
    public static ReadOnlySpan<ushort> Usual => [0x2B, 0x2B, HarnessProgram.Tls0, HarnessProgram.Tls1, 0x23, 0x2B];

    /// <summary>Whether <see cref="OracleLayout.Island"/> is absent until the first page fault there.</summary>
    public bool LatePage { get; init; }

    /// <summary>16 or 32: the code segment's size.</summary>
    public int Bits { get; private init; } = 32;

    /// <summary>512 bytes in FXSAVE's layout to load before the code, or null for the state after FNINIT.</summary>
    public byte[]? Fx { get; init; }

    /// <summary>EIP of the first instruction.</summary>
    public uint Start { get; private init; } = OracleLayout.Code;

    /// <summary>Undefined flags by final EIP, once asked for: of the code, so shared with all vectors of the same code.</summary>
    public Dictionary<uint, uint> UndefinedAt { get; private init; } = [];

    /// <summary>Bytes of code.</summary>
    public int CodeLength => Code.Sum(c => c.Length);

    /// <summary>All instructions' bytes.</summary>
    public byte[] Bytes => [.. Code.SelectMany(c => c)];

    /// <summary>The same test with other code or another state. Vectors that share the list of code are run without translating anew.</summary>
    public TestVector With(List<byte[]>? code = null, uint[]? gpr = null, uint? eflags = null, byte[]? fx = null, bool? latePage = null) => new()
    {
        Gpr = gpr ?? Gpr,
        Eflags = eflags ?? Eflags,
        Code = code ?? Code,
        CodeStart = CodeStart,
        Start = Start,
        Bits = Bits,
        Selectors = Selectors,
        LatePage = latePage ?? LatePage,
        Fx = fx ?? Fx,
        UndefinedAt = code is null ? UndefinedAt : [],
    };

    /// <summary>The same test with its code elsewhere, and other segments.</summary>
    /// <param name="offset">Of the first byte from <see cref="OracleLayout.Code"/>.</param>
    /// <param name="selectors">DS, ES, FS, GS, CS, SS.</param>
    public TestVector At(int offset, ushort[] selectors)
    {
        Dbt.Translator.State.Segment cs = OracleSegments.Load(selectors[4]);
        return new()
        {
            Gpr = Gpr,
            Eflags = Eflags,
            Code = Code,
            CodeStart = offset,
            Start = OracleLayout.Code + (uint)offset - cs.Base,
            Bits = cs.Is32Bit ? 32 : 16,
            Selectors = selectors,
            LatePage = LatePage,
            Fx = Fx,
        };
    }

    /// <summary>Registers and a disassembly.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        string[] names = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"];
        for (int i = 0; i < 8; i++)
        {
            text.Append(names[i]).Append('=').Append(Gpr[i].ToString("x8")).Append(' ');
        }

        text.Append("eflags=").Append(Eflags.ToString("x")).Append(" ds,es,fs,gs,cs,ss=")
            .AppendJoin(',', Selectors.Select(s => s.ToString("x"))).AppendLine(LatePage ? " island absent at first" : "");
        var formatter = new NasmFormatter();
        var output = new StringOutput();
        uint at = Start;
        foreach (byte[] bytes in Code)
        {
            Instruction instruction = Decoder.Create(Bits, new ByteArrayCodeReader(bytes), at).Decode();
            formatter.Format(instruction, output);
            text.Append($"  {at:x8}  {Convert.ToHexString(bytes),-24} {output.ToStringAndReset()}  ({instruction.Code})").AppendLine();
            at += (uint)bytes.Length;
        }

        return text.ToString();
    }
}
