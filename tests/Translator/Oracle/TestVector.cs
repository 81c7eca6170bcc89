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
    public int CodeStart { get; init; }

    /// <summary>DS, ES, FS, GS before the code.</summary>
    public ushort[] Selectors { get; init; } = [0x2B, 0x2B, HarnessProgram.Tls0, HarnessProgram.Tls1];

    /// <summary>512 bytes in FXSAVE's layout to load before the code, or null for the state after FNINIT.</summary>
    public byte[]? Fx { get; init; }

    /// <summary>Status flags that the code leaves undefined.</summary>
    public uint UndefinedFlags { get; set; }

    /// <summary>EIP of the first instruction.</summary>
    public uint Start => OracleLayout.Code + (uint)CodeStart;

    /// <summary>Bytes of code.</summary>
    public int CodeLength => Code.Sum(c => c.Length);

    /// <summary>All instructions' bytes.</summary>
    public byte[] Bytes => [.. Code.SelectMany(c => c)];

    /// <summary>The same test with other code or registers.</summary>
    public TestVector With(List<byte[]>? code = null, uint[]? gpr = null, uint? eflags = null) => new()
    {
        Gpr = gpr ?? [.. Gpr],
        Eflags = eflags ?? Eflags,
        Code = code ?? [.. Code],
        CodeStart = CodeStart,
        Selectors = Selectors,
        Fx = Fx,
        UndefinedFlags = UndefinedFlags,
    };

    /// <summary>Registers and a disassembly.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        string[] names = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"];
        for (int i = 0; i < 8; i++)
        {
            text.Append(names[i]).Append('=').Append(Gpr[i].ToString("x8")).Append(' ');
        }

        text.Append("eflags=").Append(Eflags.ToString("x")).Append(" ds,es,fs,gs=")
            .AppendJoin(',', Selectors.Select(s => s.ToString("x"))).AppendLine();
        var formatter = new NasmFormatter();
        var output = new StringOutput();
        uint at = Start;
        foreach (byte[] bytes in Code)
        {
            Instruction instruction = Decoder.Create(32, new ByteArrayCodeReader(bytes), at).Decode();
            formatter.Format(instruction, output);
            text.Append($"  {at:x8}  {Convert.ToHexString(bytes),-24} {output.ToStringAndReset()}  ({instruction.Code})").AppendLine();
            at += (uint)bytes.Length;
        }

        return text.ToString();
    }
}
