using Dbt.Translator.Cache;
using Dbt.Translator.Emit;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator.Cache;

/// <summary>
/// In which machine code the marks of accesses may be left out: where registers are as the exit expects them when the access faults, and nowhere else. Each case is what RyuJIT makes, or could.
/// </summary>
public sealed class WindowAccessesTests
{
    private const int Code = ExitTable.FirstSite + 1, OtherCode = ExitTable.FirstSite + 2;

    private static readonly AssemblerRegister64 State = rdi, Window = r15;

    [Fact]
    public void AnAccessBehindItsMarkIsFree()
    {
        WindowAccesses accesses = Read(out bool usable, (a, exit, _) => Load(a, exit));
        Assert.True(usable);
        Assert.Empty(accesses.Refused);
        Assert.Equal(2, accesses.Erased.Count);
        Assert.Single(accesses.Freed);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void WhatTheExitReadsMustNotChangeBefore(bool read) => Expect(!read, (a, exit, _) =>
    {
        Mark(a, exit);
        a.mov(read ? ebx : r9d, r8d);
        a.xor(read ? ebx : r9d, __dword_ptr[Window + rcx]);
    });

    /// <summary>Arguments of a call count as read, unless it is known to take none but the processor.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void WhatTheExitsCallMayTakeIsRead(bool known) => Expect(known, (a, exit, _) =>
    {
        Label leaves = a.CreateLabel(), on = a.CreateLabel();
        Mark(a, leaves);
        a.xor(r8d, r8d);
        a.mov(__dword_ptr[Window + rcx], r8d);
        a.jmp(on);
        a.Label(ref leaves);
        a.mov(__dword_ptr[rbp - 0x34], Code);
        a.mov(rax, __qword_ptr[State + (known ? StateLayout.HarvestCode : StateLayout.ActivateCode)]);
        a.call(rax);
        a.pop(rbp);
        a.ret();
        a.Label(ref on);
    });

    [Fact]
    public void AVariableMayBePutInItsPlace() => Expect(true, (a, exit, _) =>
    {
        Mark(a, exit);
        a.mov(__qword_ptr[rbp - 0x30], rsi);
        a.mov(eax, __dword_ptr[Window + rcx]);
    });

    [Fact]
    public void WhatHasChangedMayNot() => Expect(false, (a, exit, _) =>
    {
        Mark(a, exit);
        a.lea(r9, __[rsi + 8]);
        a.mov(__qword_ptr[rbp - 0x30], r9);
        a.mov(eax, __dword_ptr[Window + rcx]);
    });

    [Fact]
    public void AConstantIsNotTakenForTheAccess() => Expect(false, (a, exit, other) =>
    {
        Mark(a, exit);
        a.movsd(xmm0, __qword_ptr[other]);
        a.movsd(__qword_ptr[Window + rcx], xmm0);
    });

    [Fact]
    public void NobodyElseMayComeToIt() => Expect(false, (a, exit, _) =>
    {
        Label access = a.CreateLabel();
        a.test(eax, eax);
        a.je(access);
        Mark(a, exit);
        a.Label(ref access);
        a.mov(eax, __dword_ptr[Window + rcx]);
    });

    [Fact]
    public void TwoMarksOfOneAccessMustHaveOneExit() => Expect(false, (a, exit, other) =>
    {
        Label access = a.CreateLabel();
        Mark(a, exit);
        a.Label(ref access);
        a.mov(ebx, __dword_ptr[Window + rcx]);
        a.cmp(__byte_ptr[State + StateLayout.NoFault], 0);
        a.je(access);
        a.jmp(other);
    });

    [Fact]
    public void AWayThatBringsSomethingAlongHasAnExitOfItsOwn() => Expect(false, (a, exit, _) =>
    {
        // On the second way RBX comes from its place on the stack, where the first one never put it.
        Label access = a.CreateLabel();
        Mark(a, exit);
        a.Label(ref access);
        a.mov(edx, __dword_ptr[Window + rbx]);
        Mark(a, exit);
        a.mov(rbx, __qword_ptr[rbp - 0x30]);
        a.jmp(access);
    });

    [Fact]
    public void TheMarkOfALoopIsOfNoAccess() => Expect(true, (a, exit, _) =>
    {
        Label again = a.CreateLabel();
        a.Label(ref again);
        Load(a, exit);
        a.cmp(__byte_ptr[State + StateLayout.NoRepeat], 0);
        a.je(again);
    });

    [Fact]
    public void AMarkThatIsNoComparisonMakesAllUnusable()
    {
        WindowAccesses accesses = Read(out bool usable, (a, exit, _) =>
        {
            a.movzx(eax, __byte_ptr[State + StateLayout.NoFault]);
            a.test(eax, eax);
            a.jne(exit);
            a.mov(eax, __dword_ptr[Window + rcx]);
        });
        Assert.False(usable);
        Assert.Empty(accesses.Refused);
    }

    private static void Expect(bool free, Action<Assembler, Label, Label> write)
    {
        WindowAccesses accesses = Read(out bool usable, write);
        Assert.Equal(free, usable);
        Assert.Equal(free ? 0 : 1, accesses.Refused.Count);
    }

    private static void Mark(Assembler a, Label exit)
    {
        a.cmp(__byte_ptr[State + StateLayout.NoFault], 0);
        a.jne(exit);
    }

    private static void Load(Assembler a, Label exit)
    {
        Mark(a, exit);
        a.mov(eax, __dword_ptr[Window + rcx]);
    }

    /// <summary>A function with two exits: one stores RBX, the other RDX.</summary>
    private static WindowAccesses Read(out bool usable, Action<Assembler, Label, Label> write)
    {
        var a = new Assembler(64);
        Label exit = a.CreateLabel(), other = a.CreateLabel();
        a.push(rbp);
        a.lea(rbp, __[rsp + 0x10]);
        write(a, exit, other);
        a.ret();
        a.Label(ref exit);
        a.mov(r14d, Code);
        a.mov(__dword_ptr[State], ebx);
        a.pop(rbp);
        a.ret();
        a.Label(ref other);
        a.mov(r14d, OtherCode);
        a.mov(__dword_ptr[State], edx);
        a.pop(rbp);
        a.ret();
        using var stream = new MemoryStream();
        a.Assemble(new StreamCodeWriter(stream), 0);
        var code = new SortedDictionary<ulong, Instruction>();
        foreach (Instruction instruction in Decoder.Create(64, stream.ToArray(), 0))
        {
            code.Add(instruction.IP, instruction);
        }

        var accesses = new WindowAccesses(code);
        usable = accesses.TryFree();
        return accesses;
    }
}
