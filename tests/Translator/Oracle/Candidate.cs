using Dbt.Translator.Instructions;
using Iced.Intel;

namespace Dbt.Tests.Translator.Oracle;

/// <summary>One encoding of a row of the instruction table.</summary>
/// <param name="Code">Iced's name of the encoding.</param>
/// <param name="Row">The row.</param>
/// <param name="Translated">Whether there is a routine to translate it.</param>
internal readonly record struct Candidate(Code Code, InstructionRow Row, bool Translated)
{
    /// <summary>
    /// What is not compared with the host: its answers are the kernel's or the machine's (CPUID, time stamps, the tables'
    /// addresses, which Linux makes up under UMIP), or it enters the kernel; INT1, whose EIP a virtualised host reports differently.
    /// </summary>
    private static readonly HashSet<Mnemonic> Banned =
    [
        Mnemonic.Int1, Mnemonic.Syscall, Mnemonic.Sysenter, Mnemonic.Sysexit, Mnemonic.Sysret, Mnemonic.Cpuid, Mnemonic.Rdtsc, Mnemonic.Rdtscp,
        Mnemonic.Rdpmc, Mnemonic.Sgdt, Mnemonic.Sidt, Mnemonic.Smsw, Mnemonic.Str, Mnemonic.Sldt, Mnemonic.Xgetbv, Mnemonic.Rdrand,
        Mnemonic.Rdseed, Mnemonic.Rdpid,
    ];

    /// <summary>The encodings of every row that the oracle compares, row by row.</summary>
    public static Candidate[][] All(Func<InstructionRow, bool> wanted)
    {
        var byRow = new Dictionary<InstructionRow, List<Candidate>>();
        foreach (Code code in Enum.GetValues<Code>())
        {
            OpCodeInfo info = code.ToOpCode();
            if (!info.IsInstruction || !info.Mode32 || info.Encoding is not (EncodingKind.Legacy or EncodingKind.VEX)
                || info.DecoderOption != DecoderOptions.None || Banned.Contains(code.Mnemonic()))
            {
                continue;
            }

            if (code is Code.Reservednop_rm16_r16_0F0D or Code.Reservednop_rm32_r32_0F0D)
            {
                continue;                           // a NOP by Intel, #UD by AMD
            }

            Instruction specimen = Specimen(code, info);
            InstructionRow? row = InstructionTable.Lookup(specimen);
            if (row is not null && row.TestClass != TestClass.NotTested && wanted(row))
            {
                if (!byRow.TryGetValue(row, out List<Candidate>? list))
                {
                    byRow[row] = list = [];
                }

                list.Add(new Candidate(code, row, row.Emit is not null));
            }
        }

        return [.. byRow.Values.Select(list => list.ToArray())];
    }

    /// <summary>Whether an instruction may be put before the host's processor and its answer compared.</summary>
    public static bool MayRun(in Instruction instruction) =>
        !Banned.Contains(instruction.Mnemonic)
        && InstructionTable.Lookup(instruction)?.TestClass != TestClass.NotTested
        && !(instruction.Mnemonic == Mnemonic.Int && instruction.Immediate8 == 0x80)
        && !(instruction.Op0Kind is OpKind.FarBranch16 or OpKind.FarBranch32 && (instruction.FarBranchSelector & ~3) == 0x30);

    /// <summary>Why the oracle does not compare a row with the host; null where it does.</summary>
    public static string? WhyNot(InstructionRow row) =>
        Banned.Contains(row.Mnemonic) ? "the answer is the host kernel's or the machine's own; tests by hand"
        : row.TestClass == TestClass.NotTested ? "no two hosts agree, or the host's kernel takes it; tests by hand"
        : null;

    /// <summary>Enough of an instruction for the table to tell the forms of a mnemonic apart.</summary>
    public static Instruction Specimen(Code code, OpCodeInfo info)
    {
        var specimen = new Instruction { Code = code };
        for (int i = 0; i < info.OpCount; i++)
        {
            OpCodeOperandKind kind = info.GetOpKind(i);
            Register register = kind switch
            {
                OpCodeOperandKind.seg_reg or OpCodeOperandKind.ds => Register.DS,
                OpCodeOperandKind.es => Register.ES,
                OpCodeOperandKind.cs => Register.CS,
                OpCodeOperandKind.ss => Register.SS,
                OpCodeOperandKind.fs => Register.FS,
                OpCodeOperandKind.gs => Register.GS,
                OpCodeOperandKind.cr_reg => Register.CR0,
                OpCodeOperandKind.dr_reg => Register.DR0,
                OpCodeOperandKind.tr_reg => Register.TR3,
                _ => Register.None,
            };
            if (register != Register.None)
            {
                specimen.SetOpKind(i, OpKind.Register);
                specimen.SetOpRegister(i, register);
            }
        }

        return specimen;
    }
}
