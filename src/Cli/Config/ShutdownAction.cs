namespace Dbt.Cli.Config;

/// <summary>What is done when a guest stops (xl.cfg, on_*).</summary>
internal enum ShutdownAction
{
    Destroy,
    Restart,
    RenameRestart,
    Preserve,
    CoredumpDestroy,
    CoredumpRestart,
    SoftReset,
}

/// <summary>The on_* keys.</summary>
internal sealed record ShutdownActions
{
    public ShutdownAction Poweroff { get; init; } = ShutdownAction.Destroy;

    public ShutdownAction Reboot { get; init; } = ShutdownAction.Restart;

    public ShutdownAction Crash { get; init; } = ShutdownAction.Destroy;

    public ShutdownAction Watchdog { get; init; } = ShutdownAction.Destroy;

    public ShutdownAction SoftReset { get; init; } = ShutdownAction.SoftReset;

    /// <summary>The first key that asks for an action; null where none does.</summary>
    public string? Any(ShutdownAction action) =>
        Poweroff == action ? "on_poweroff" : Reboot == action ? "on_reboot" : Crash == action ? "on_crash" : Watchdog == action ? "on_watchdog" : null;

    /// <summary>xl's word for an action.</summary>
    public static string Word(ShutdownAction action) => action switch
    {
        ShutdownAction.Destroy => "destroy",
        ShutdownAction.Restart => "restart",
        ShutdownAction.RenameRestart => "rename-restart",
        ShutdownAction.Preserve => "preserve",
        ShutdownAction.CoredumpDestroy => "coredump-destroy",
        ShutdownAction.CoredumpRestart => "coredump-restart",
        _ => "soft-reset",
    };

    /// <summary>The action of xl's word for it; null for another word.</summary>
    public static ShutdownAction? Parse(string word) => word switch
    {
        "destroy" => ShutdownAction.Destroy,
        "restart" => ShutdownAction.Restart,
        "rename-restart" => ShutdownAction.RenameRestart,
        "preserve" => ShutdownAction.Preserve,
        "coredump-destroy" => ShutdownAction.CoredumpDestroy,
        "coredump-restart" => ShutdownAction.CoredumpRestart,
        "soft-reset" => ShutdownAction.SoftReset,
        _ => null,
    };
}
