using Dbt.Translator.Emit;
using Dbt.Translator.Interpretation;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Instructions;

/// <summary>
/// One row of the instruction table: what a mnemonic is, how it is interpreted, translated and tested.
/// </summary>
internal sealed unsafe class InstructionRow
{
    /// <summary>Makes a row; the columns are the properties.</summary>
    public InstructionRow(
        Mnemonic mnemonic,
        string manual,
        TestClass testClass,
        delegate*<Interpreter, CpuState*, in DecodedInstruction, bool> execute,
        EmitRoutine? emit = null,
        uint undefinedFlags = 0,
        InstructionForm form = InstructionForm.General,
        RowTraits traits = RowTraits.None,
        delegate*<in DecodedInstruction, ThreadedRoutine> threaded = null)
    {
        Mnemonic = mnemonic;
        Manual = manual;
        TestClass = testClass;
        Execute = execute;
        Emit = emit;
        UndefinedFlags = undefinedFlags;
        Form = form;
        Traits = traits;
        Threaded = threaded;
    }

    /// <summary>Iced's mnemonic.</summary>
    public Mnemonic Mnemonic { get; }

    /// <summary>Which of several instructions of that mnemonic.</summary>
    public InstructionForm Form { get; }

    /// <summary>The family, named after the file that holds the row: "Arithmetic", "Logic", ...</summary>
    public string Family { get; internal set; } = "";

    /// <summary>Section of the SDM's volume 2.</summary>
    public string Manual { get; }

    /// <summary>How random tests treat it.</summary>
    public TestClass TestClass { get; }

    /// <summary>EFLAGS bits that the manual leaves undefined after it (for any operands; a shift's by its count, see the test class).</summary>
    public uint UndefinedFlags { get; }

    /// <summary>What a block must know of it.</summary>
    public RowTraits Traits { get; }

    /// <summary>
    /// The interpreter's routine. True: carried out. False: a fault is in <see cref="CpuState.Fault"/> and nothing else has changed.
    /// </summary>
    public delegate*<Interpreter, CpuState*, in DecodedInstruction, bool> Execute { get; }

    /// <summary>
    /// Picks the interpreter's routine for an instruction's operand forms, null where <see cref="Execute"/> is to run. The routine does
    /// what <see cref="Execute"/> does. Null where there are no such forms.
    /// </summary>
    public delegate*<in DecodedInstruction, ThreadedRoutine> Threaded { get; }

    /// <summary>The translator's routine; null where translated code leaves to the interpreter for this instruction.</summary>
    public EmitRoutine? Emit { get; }
}

/// <summary>Properties of an instruction that decoding needs.</summary>
[Flags]
internal enum RowTraits
{
    /// <summary>Nothing special.</summary>
    None = 0,

    /// <summary>The routine sets EIP itself where it succeeds.</summary>
    SetsEip = 1,

    /// <summary>A block ends after it: control flow, or a change of mode, segments or the interrupt flag.</summary>
    EndsBlock = 2,

    /// <summary>The routine needs Iced's form of the instruction at run time.</summary>
    KeepsInstruction = 4,

    /// <summary>Decoding makes a native thunk for it (x87, MMX, SSE).</summary>
    NativeThunk = 8,

    /// <summary>The processor does not have it: #UD, with its name in the log.</summary>
    Missing = 16,
}
