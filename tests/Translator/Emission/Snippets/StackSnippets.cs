using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator.Emission.Snippets;

/// <summary>Pushes, frames by ESP and by EBP, functions' beginnings and ends.</summary>
internal static class StackSnippets
{
    public static IReadOnlyList<Snippet> All { get; } =
    [
        new("push r32", a => a.push(eax)),
        new("push imm", a => a.push(5)),
        new("push m32", a => a.push(__dword_ptr[esi])),
        new("pop r32", a => a.pop(eax)),
        new("pop m32", a => a.pop(__dword_ptr[esi])),
        new("push esp, pop esp", a =>
        {
            a.push(esp);
            a.pop(esp);
        }),
        new("pushad, popad", a =>
        {
            a.pushad();
            a.popad();
        }),
        new("frame by ESP: six accesses", a =>
        {
            a.sub(esp, 32);
            a.mov(__dword_ptr[esp], eax);
            a.mov(__dword_ptr[esp + 4], ecx);
            a.mov(__dword_ptr[esp + 8], edx);
            a.add(eax, __dword_ptr[esp + 36]);
            a.add(eax, __dword_ptr[esp + 4]);
            a.add(esp, 32);
            a.pop(ebx);
        }),
        new("function with EBP: beginning to end", a =>
        {
            a.push(ebp);
            a.mov(ebp, esp);
            a.push(ebx);
            a.sub(esp, 16);
            a.mov(eax, __dword_ptr[ebp + 8]);
            a.mov(ebx, __dword_ptr[ebp + 12]);
            a.mov(__dword_ptr[ebp - 12], eax);
            a.add(eax, ebx);
            a.mov(ebx, __dword_ptr[ebp - 4]);
            a.leave();
            a.ret();
        }),
        new("four registers saved and restored", a =>
        {
            a.push(ebp);
            a.push(edi);
            a.push(esi);
            a.push(ebx);
            a.pop(ebx);
            a.pop(esi);
            a.pop(edi);
            a.pop(ebp);
            a.ret();
        }),
        new("arguments pushed, call, removed", a =>
        {
            a.push(5);
            a.push(__dword_ptr[esi]);
            a.push(eax);
            a.call(0x20000);
            a.add(esp, 12);
        }),
        new("enter 16,0", a => a.enter(16, 0)),
        new("ret 8", a => a.ret(8)),
    ];
}
