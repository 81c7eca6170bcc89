using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator.Emission.Snippets;

/// <summary>Branches, loops, calls, computed jumps, and what lies on two pages.</summary>
internal static class FlowSnippets
{
    public static IReadOnlyList<Snippet> All { get; } =
    [
        new("cmp, jl over one instruction", a =>
        {
            Label end = a.CreateLabel();
            a.cmp(eax, ecx);
            a.jl(end);
            a.mov(edx, eax);
            a.Label(ref end);
            a.mov(ebx, edx);
        }),
        new("cmp, je out of the region", a =>
        {
            a.cmp(eax, 5);
            a.je(0x20000);
        }),
        new("dec, jne: loop of one block", a =>
        {
            Label next = a.CreateLabel();
            a.Label(ref next);
            a.add(eax, ecx);
            a.dec(ecx);
            a.jne(next);
        }),
        new("sum of an array", a =>
        {
            Label next = a.CreateLabel();
            a.xor(eax, eax);
            a.Label(ref next);
            a.add(eax, __dword_ptr[esi]);
            a.add(esi, 4);
            a.cmp(esi, edi);
            a.jb(next);
        }),
        new("two loops in one another", a =>
        {
            Label outer = a.CreateLabel(), inner = a.CreateLabel();
            a.Label(ref outer);
            a.mov(edx, 16);
            a.Label(ref inner);
            a.add(eax, edx);
            a.dec(edx);
            a.jne(inner);
            a.dec(ecx);
            a.jne(outer);
        }),
        new("loop", a =>
        {
            Label next = a.CreateLabel();
            a.Label(ref next);
            a.add(eax, ecx);
            a.loop(next);
        }),
        new("jecxz", a =>
        {
            Label end = a.CreateLabel();
            a.jecxz(end);
            a.inc(eax);
            a.Label(ref end);
        }),
        new("jmp out of the region", a => a.jmp(0x20000)),
        new("call out of the region, and on", a =>
        {
            a.call(0x20000);
            a.add(eax, 1);
        }),
        new("call of a function in the region", a =>
        {
            Label function = a.CreateLabel(), end = a.CreateLabel();
            a.call(function);
            a.add(eax, 1);
            a.jmp(end);
            a.Label(ref function);
            a.mov(eax, __dword_ptr[esp + 4]);
            a.ret();
            a.Label(ref end);
        }),
        new("ret", a => a.ret()),
        new("call r32", a => a.call(eax)),
        new("call m32", a => a.call(__dword_ptr[ecx + 8])),
        new("jmp m32, nowhere known", a => a.jmp(__dword_ptr[(eax * 4) + 0x30000])),
        new("jmp m32, four targets: a jump table", a =>
        {
            Label end = a.CreateLabel();
            a.jmp(__dword_ptr[(eax * 4) + 0x30000]);
            a.add(ecx, 1);
            a.jmp(end);
            a.add(ecx, 2);
            a.jmp(end);
            a.add(ecx, 3);
            a.jmp(end);
            a.add(ecx, 4);
            a.Label(ref end);
        })
        {
            JumpTargets = [1, 3, 5, 7],
        },
        new("loop that lies on two pages", a =>
        {
            Label next = a.CreateLabel();
            a.Label(ref next);
            a.add(eax, 0x12345678);
            a.xor(eax, 0x12345678);
            a.sub(eax, 0x12345678);
            a.dec(ecx);
            a.jne(next);
        })
        {
            Address = 0x10FF8,
        },
        new("int 80h", a => a.@int(0x80)),
        new("an instruction of the interpreter's between", a =>
        {
            a.mov(eax, 1);
            a.cpuid();
            a.mov(ecx, eax);
        }),
    ];
}
