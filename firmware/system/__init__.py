"""What every task of the appliance stands on: clock, log, flash, supervision."""
