using Dbt.Translator.Instructions;
using Dbt.Translator.Interpretation.Operations;
using Dbt.Translator.Interpretation.Threaded;
using Iced.Intel;

namespace Dbt.Tests.Translator.Oracle.Mutations;

/// <summary>Tests in this collection run alone: they change the instruction table of the process.</summary>
[CollectionDefinition(nameof(MutationTests), DisableParallelization = true)]
public sealed class MutationCollection;

/// <summary>
/// Is the oracle able to fail? Each of these semantics is broken on purpose, and the run must tell; with the right one, the same run must
/// not. A row gets about as many vectors here as 200,000 over the whole table give it.
/// </summary>
[Collection(nameof(MutationTests))]
public sealed unsafe class MutationTests
{
    private const int Vectors = 1024, States = 16;

    private static readonly Mutation[] All =
    [
        new() { Name = "ADC: carry in", Breaks = "CF is not added", Mnemonic = Mnemonic.Adc, Execute = &BrokenRoutines.NoCarryIn },
        new() { Name = "SUB: AF", Breaks = "AF stays clear", Mnemonic = Mnemonic.Sub, Execute = &BrokenRoutines.NoAuxiliaryCarry },
        new() { Name = "CMP: OF", Breaks = "OF stays clear", Mnemonic = Mnemonic.Cmp, Execute = &BrokenRoutines.NoOverflow },
        new() { Name = "XOR: PF", Breaks = "PF stays clear", Mnemonic = Mnemonic.Xor, Execute = &BrokenRoutines.NoParity },
        new() { Name = "INC: CF", Breaks = "CF is cleared instead of kept", Mnemonic = Mnemonic.Inc, Execute = &BrokenRoutines.NoCarryOut },
        new() { Name = "DAA: carry in", Breaks = "CF is not looked at", Mnemonic = Mnemonic.Daa, Execute = &BrokenRoutines.NoCarryIn },
        new() { Name = "SHLD: CF", Breaks = "CF stays clear", Mnemonic = Mnemonic.Shld, Execute = &BrokenRoutines.NoCarryOut },
        new() { Name = "RCL: count", Breaks = "modulo the size instead of size + 1", Mnemonic = Mnemonic.Rcl, Execute = &BrokenRoutines.RotateModuloSize },
        new() { Name = "IMUL: OF", Breaks = "OF stays clear", Mnemonic = Mnemonic.Imul, Execute = &BrokenRoutines.NoOverflow },
        new() { Name = "DIV: #DE", Breaks = "no fault", Mnemonic = Mnemonic.Div, Execute = &BrokenRoutines.DivisionDoesNotFault },
        new() { Name = "BSF of zero", Breaks = "the destination is written", Mnemonic = Mnemonic.Bsf, Execute = &BrokenRoutines.ScanWritesZero },
        new() { Name = "BTS: bit offset", Breaks = "stays inside the operand in memory", Mnemonic = Mnemonic.Bts, Execute = &BrokenRoutines.BitOffsetStaysInside },
        new()
        {
            Name = "CMPXCHG that fails", Breaks = "the accumulator is not loaded", Mnemonic = Mnemonic.Cmpxchg,
            Execute = &BrokenRoutines.FailingExchangeKeepsAccumulator,
        },
        new() { Name = "JL", Breaks = "SF alone decides", Mnemonic = Mnemonic.Jl, Execute = &BrokenRoutines.LessIsNegative },
        new() { Name = "MOV to AH", Breaks = "goes to AL", Mnemonic = Mnemonic.Mov, Execute = &BrokenRoutines.HighByteIsLow },
        new() { Name = "MOVS: direction", Breaks = "DF is ignored", Mnemonic = Mnemonic.Movsb, Execute = &BrokenRoutines.DirectionIgnored },
        new() { Name = "LODS: REP", Breaks = "runs once", Mnemonic = Mnemonic.Lodsb, Execute = &BrokenRoutines.RepeatIgnored },
        new() { Name = "SCAS: REPE and REPNE", Breaks = "change places", Mnemonic = Mnemonic.Scasb, Execute = &BrokenRoutines.RepeatInverted },
        new()
        {
            Name = "Store across a page", Breaks = "the second page is not written", Mnemonic = Mnemonic.Mov, Execute = &BrokenRoutines.CrossingStoreLosesItsEnd,
        },
        new() { Name = "#PF: error code", Breaks = "W stays clear", Mnemonic = Mnemonic.Mov, Execute = &BrokenRoutines.WriteFaultsAsRead },
        new()
        {
            Name = "16-bit addresses: wrap", Breaks = "at 64 KiB is missing", Mnemonic = Mnemonic.Mov, Execute = &BrokenRoutines.AddressDoesNotWrap,
            Scenario = "single instructions, 16-bit code",
        },
        new()
        {
            Name = "Segment limit", Breaks = "one byte more", Mnemonic = Mnemonic.Mov, Execute = &BrokenRoutines.LimitOffByOne,
            Scenario = "single instructions, segments of all kinds",
        },
        new() { Name = "POPF", Breaks = "DF stays", Mnemonic = Mnemonic.Popfd, Execute = &BrokenRoutines.PopKeepsDirection },
        new() { Name = "ENTER: nesting", Breaks = "outer frame pointers are not copied", Mnemonic = Mnemonic.Enter, Execute = &BrokenRoutines.NoNesting },
        new() { Name = "FADD: rounding control", Breaks = "always to nearest", Mnemonic = Mnemonic.Fadd, Execute = &BrokenRoutines.RoundsToNearest, Scenario = "x87" },
        new() { Name = "FMUL: precision control", Breaks = "always 64 bits", Mnemonic = Mnemonic.Fmul, Execute = &BrokenRoutines.FullPrecision, Scenario = "x87" },
        new() { Name = "FDIV: C1", Breaks = "stays clear", Mnemonic = Mnemonic.Fdiv, Execute = &BrokenRoutines.NoC1, Scenario = "x87" },
        new() { Name = "FPREM: quotient bits", Breaks = "stay clear", Mnemonic = Mnemonic.Fprem, Execute = &BrokenRoutines.NoQuotientBits, Scenario = "x87" },
        new() { Name = "FSTP: tag", Breaks = "the register is not empty afterwards", Mnemonic = Mnemonic.Fstp, Execute = &BrokenRoutines.PopKeepsTag, Scenario = "x87" },
        new() { Name = "MULPS: flush to zero", Breaks = "MXCSR.FZ is ignored", Mnemonic = Mnemonic.Mulps, Execute = &BrokenRoutines.NoFlushToZero, Scenario = "MMX and SSE" },
        new()
        {
            Name = "ADDPS: denormals are zeros", Breaks = "MXCSR.DAZ is ignored", Mnemonic = Mnemonic.Addps, Execute = &BrokenRoutines.NoDenormalsAreZero,
            Scenario = "MMX and SSE",
        },
        new() { Name = "CVTSS2SI: rounding", Breaks = "truncates", Mnemonic = Mnemonic.Cvtss2si, Execute = &BrokenRoutines.Truncates, Scenario = "MMX and SSE" },
        new()
        {
            Name = "PSHUFB: bit 7", Breaks = "gives a byte instead of zero", Mnemonic = Mnemonic.Pshufb, Execute = &BrokenRoutines.ShuffleIgnoresHighBit,
            Scenario = "MMX and SSE",
        },
        new() { Name = "PCMPISTRI: flags", Breaks = "OF stays clear", Mnemonic = Mnemonic.Pcmpistri, Execute = &BrokenRoutines.NoOverflow, Scenario = "MMX and SSE" },
        new() { Name = "Threaded ADD", Breaks = "subtracts", Mnemonic = Mnemonic.Add, Threaded = &AluOps.Pick<SubOperation> },
        new() { Name = "Threaded MOVZX", Breaks = "extends the sign", Mnemonic = Mnemonic.Movzx, Threaded = &MoveOps.PickMovsx },
        new() { Name = "Threaded SHR", Breaks = "shifts in the sign", Mnemonic = Mnemonic.Shr, Threaded = &UnaryOps.PickShift<SarShift> },
        new() { Name = "Translated SBB", Breaks = "the borrow is lost", Mnemonic = Mnemonic.Sbb, Emit = BrokenEmission.BorrowIgnored },
        new() { Name = "Translated ADC", Breaks = "the carry is lost", Mnemonic = Mnemonic.Adc, Emit = BrokenEmission.CarryIgnored },
        new() { Name = "Translated CMP", Breaks = "lazy flags of another operation", Mnemonic = Mnemonic.Cmp, Emit = BrokenEmission.CompareWithoutCarry },
        new() { Name = "Translated INC", Breaks = "steps down", Mnemonic = Mnemonic.Inc, Emit = BrokenEmission.StepsDown },
        new() { Name = "Dead flags", Breaks = "flags are removed that live", Mnemonic = Mnemonic.Add, Emit = BrokenEmission.FlagsDead },
        new() { Name = "Registers at an exit", Breaks = "a written one is not stored", Mnemonic = Mnemonic.Xor, Emit = BrokenEmission.NotWrittenBack },
        new() { Name = "Translated PADDD, MMX", Breaks = "subtracts", Mnemonic = Mnemonic.Paddd, Emit = BrokenEmission.MmxSubtracts, Scenario = "MMX and SSE" },
        new() { Name = "Translated EMMS", Breaks = "tags stay", Mnemonic = Mnemonic.Emms, Emit = BrokenEmission.EmptyKeepsTags, Scenario = "MMX and SSE" },
        new()
        {
            Name = "MMX registers at an exit", Breaks = "a written one is not stored", Mnemonic = Mnemonic.Pxor, Emit = BrokenEmission.MmxNotWrittenBack,
            Scenario = "MMX and SSE",
        },
        new() { Name = "Translated LDMXCSR", Breaks = "loads nothing", Mnemonic = Mnemonic.Ldmxcsr, Emit = BrokenEmission.ControlNotLoaded, Scenario = "MMX and SSE" },
        new() { Name = "Translated PCMPISTRI", Breaks = "flags stay", Mnemonic = Mnemonic.Pcmpistri, Emit = BrokenEmission.FlagsStay, Scenario = "MMX and SSE" },
        new() { Name = "MMX mode", Breaks = "is not entered by a store", Mnemonic = Mnemonic.Movntq, Emit = BrokenEmission.StoreStaysOutOfMmx, Scenario = "MMX and SSE" },
        new()
        {
            Name = "Code that modifies itself", Breaks = "writes to code go unnoticed", Mnemonic = Mnemonic.Mov, Platform = () => new ForgetfulPlatform(),
            Scenario = "code that modifies itself", AllRows = true,
        },
    ];

    public static TheoryData<string> Names => [.. All.Select(mutation => mutation.Name)];

    /// <summary>Those of translated code, for each engine that has some.</summary>
    public static TheoryData<string, string> Translations
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (Mutation mutation in All.Where(m => m.Emit is not null))
            {
                data.Add(mutation.Name, "quick");
                data.Add(mutation.Name, "optimized");
            }

            return data;
        }
    }

    /// <summary>The list is as long as promised, and nothing is in it twice.</summary>
    [Fact]
    public void ThereAreAtLeastThirtySemantics()
    {
        Assert.True(All.Length >= 30);
        Assert.Distinct(All.Select(mutation => mutation.Name));
    }

    /// <summary>The broken semantic is reported; the right one is not.</summary>
    [RequiresNative32Theory]
    [MemberData(nameof(Names))]
    public void BrokenSemantic_IsReported(string name)
    {
        Mutation mutation = All.Single(m => m.Name == name);
        Assert.True(Differences(mutation, broken: false) == 0, "the right semantic is reported");
        Assert.True(Differences(mutation, broken: true) > 0, $"not reported: {mutation.Breaks}");
    }

    /// <summary>What is wrong in translated code, on both engines that have some, with the interpreter in the host's place.</summary>
    [X64Theory]
    [MemberData(nameof(Translations))]
    public void BrokenTranslation_IsReported(string name, string engine)
    {
        Mutation mutation = All.Single(m => m.Name == name);
        Assert.True(Differences(mutation, broken: false, engine, () => new InterpreterReference()) == 0, "the right semantic is reported");
        Assert.True(Differences(mutation, broken: true, engine, () => new InterpreterReference()) > 0, $"not reported: {mutation.Breaks}");
    }

    private static int Differences(Mutation mutation, bool broken, string? engine = null, Func<IOracleReference>? reference = null)
    {
        using MutatedTable? table = broken ? new MutatedTable(mutation) : null;
        bool Wanted(InstructionRow row) => mutation.AllRows || (row.Mnemonic == mutation.Mnemonic && row.Form == mutation.Form);
        OracleScenario scenario = OracleScenario.All(Wanted, States).Single(s => s.Name == mutation.Scenario);
        using var run = new OracleRun(1, () => [OracleTests.Engine(engine ?? mutation.Engine, broken ? mutation.Platform?.Invoke() : null)], reference) { Shrinks = false };
        run.Run(scenario, 3, Vectors);
        return run.Kinds;
    }
}
